"""The ladder of the lesson that onward descends from: one idea a rung, one readable file a rung.

`ladder` lists the rungs. Each rung's file begins with what is new in it, holds the whole of that idea and
nothing of the library's machinery (but the layers, where a rung is about them), and ends with `run`.
"""
