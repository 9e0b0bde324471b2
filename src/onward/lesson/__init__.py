"""The ladder of the lesson from which onward grew: each rung adds one idea, in one readable file.

`ladder` lists the rungs. The file of a rung begins with the new idea and ends with `run`. It contains the
whole idea, and uses the library only for layers and data.
"""
