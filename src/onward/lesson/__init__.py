"""The ladder of the lesson that onward grew out of: each rung adds one idea, in one readable file.

`ladder` lists the rungs. The file of a rung starts with the new idea and ends with `run`. It holds the whole
idea, and uses the library only for layers and data.
"""
