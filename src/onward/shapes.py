"""The axes of all tensors in onward, and their names in annotations.

    time    T   positions along a stream, oldest first; always the leading axis of a sequence
    lanes   B   streams that advance together and never mix (a batch)
    width   D   values at one position
    symbols V   entries of the vocabulary

Sequences are time-major, `(T, B, D)`: a step is a contiguous slice, and a block of T steps is one
matrix of T*B rows. States are lane-major, `(B, ...)`: selecting, joining and dropping lanes work
the same way for every tensor of a state. The tests check the aliases at run time (jaxtyping and
beartype); normal use does not.
"""

from jaxtyping import Float, Int
from torch import Tensor

Ids = Int[Tensor, "time lanes"]
"""Symbols as integers, (T, B)."""

Sequence = Float[Tensor, "time lanes width"]
"""Vectors along time, (T, B, D)."""

Output = Float[Tensor, "time lanes width_out"]
"""Vectors along time with a width that differs from the input's, (T, B, D_out)."""

Logits = Float[Tensor, "time lanes symbols"]
"""Unnormalised log-probabilities of the next symbol, (T, B, V)."""

Losses = Float[Tensor, "time lanes"]
"""Nats at each position, (T, B)."""

LaneVector = Float[Tensor, "lanes width"]
"""A vector for each lane, (B, D)."""
