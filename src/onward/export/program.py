"""The step of a model for step.c in WebAssembly: the operations as JSON, and the weights as bytes.

`static/engine.js` reads both. Operations refer to vectors by number, and to weights by their place, because
the page has other addresses than this process.
"""

from typing import Any

import torch
from torch import Tensor

from onward.inference.step.packed_weights import PackedWeights
from onward.inference.step.program import KINDS, Program
from onward.model import LanguageModel

ALIGNMENT = 64
"""The weights of each tensor begin at a multiple of this number of bytes."""


def portable_program(model: LanguageModel) -> tuple[dict[str, Any], bytes]:
    """Returns the operations of a step, and the weights that they read, with matrices in bfloat16.

    Args:
        model: a float32 model on the CPU.

    Returns:
        The operations as plain values, and the weights:

            symbols     V
            vectors     the number of floats of each vector, for one lane
            states      the vectors that are the state
            logits      the vector of the logits
            operations  for each operation the numbers of its struct in step.c, `vectors` (which vector each
                        field points to) and `weights` (where in the weights each field points to)
    """
    program = Program(model, 1, PackedWeights(model, "bf16"))
    numbers = {vector.data_ptr(): i for i, vector in enumerate(program.vectors) if vector.numel()}
    weights = _Weights()
    operations = []
    for kind, tensors, fields in program.operations:
        filled = {name: tensor for name, tensor in tensors.items() if tensor.numel()}
        operations.append(
            {
                "kind": KINDS.index(kind),
                **fields,
                "vectors": {n: numbers[t.data_ptr()] for n, t in filled.items() if t.data_ptr() in numbers},
                "weights": {n: weights.place(t) for n, t in filled.items() if t.data_ptr() not in numbers},
            }
        )
    description = {
        "symbols": program.symbols,
        "vectors": [vector.numel() for vector in program.vectors],
        "states": [numbers[state.data_ptr()] for state in program.states if state.numel()],
        "logits": numbers[program.out.ctypes.data],
        "operations": operations,
    }
    return description, bytes(weights.content)


class _Weights:
    """The bytes of tensors, one after another. A tensor that several operations read is stored once."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._places: dict[int, int] = {}  # by address

    def place(self, tensor: Tensor) -> int:
        """Stores a tensor, and returns the place of its first byte."""
        address = tensor.data_ptr()
        if address not in self._places:
            self.content.extend(bytes(-len(self.content) % ALIGNMENT))
            self._places[address] = len(self.content)
            self.content.extend(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return self._places[address]
