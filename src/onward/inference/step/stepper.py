"""One symbol at a time through a whole model, without the cost of PyTorch for each of its operations.

A step of a small model is a few million multiplications: a tenth of a millisecond, if nothing else is done.
A `Stepper` writes down once what a step computes, as a list of operations on vectors, and has the list run
in C (layers/kernels/step.c). Where that was not compiled, or the model is not one of float32 on a CPU, the
model itself is called, which gives the same to rounding.
"""

import copy

import numpy as np
import torch
from torch import Tensor

from onward.errors import InputError
from onward.inference.prediction import device_of, predict
from onward.inference.step.packed_weights import FP32, Matrices, WeightType
from onward.inference.step.program import Program, Vectors
from onward.inference.step.sampling import Sampling, not_finite
from onward.layers.kernels import compiled
from onward.layers.kernels.compiled import Shares
from onward.layers.state import State, select_lanes, tensors_of, with_tensors
from onward.model import LanguageModel

FEW_LANES = 64
"""Beyond them a block of PyTorch may be quicker. On two cores it was not up to here: for 64 lanes of the
default model 1.4 ms against 4.0, for 8 lanes 0.19 against 1.1 (2026-11-24)."""


class Stepper:
    """Carries a few lanes one symbol further at a time. The state given is left as it is.

    Args:
        model: is used in evaluation mode; its weights must not change.
        state: where the lanes stand, B of them.
        weights: see `WeightType`; other than fp32 only where the steps are compiled.
        threads: that many lanes are divided among, at most; None: as many as PyTorch uses. What a step gives
            does not depend on it.

    Raises:
        InputError: weights of a type that there is not, or that cannot be had here.
    """

    def __init__(
        self, model: LanguageModel, state: State, weights: WeightType = "fp32", *, threads: int | None = None
    ) -> None:
        self._model = model.eval()
        self._matrices, self._threads = Matrices(model, weights), threads
        self._programs: dict[int, Program] = {}  # by the number of lanes
        self._memory = Vectors()  # of all of them
        self._compiled = compiled.available and device_of(model).type == "cpu" and _is_float32(model)
        if not self._compiled and weights != "fp32":
            raise InputError(
                f"steps with {weights} weights need the C kernels, and a float32 model on the CPU",
                hint="leave out the type of weights, or install onward where there is a C compiler",
            )
        self._state: State | None = state
        self._form = state
        self._program: Program | None = None  # which holds the present state; None: `_state` alone does

    def fork(self) -> "Stepper":
        """Another that stands in the same place; both may be used at once, in threads of their own."""
        other = copy.copy(self)
        other._state, other._program, other._programs = self.state, None, {}
        other._memory = Vectors()
        return other

    @property
    def state(self) -> State:
        """Where the lanes stand; it can be kept, nothing changes it. Set it to go on from another."""
        if self._state is None:
            assert self._program is not None
            self._state = with_tensors(self._form, (part.clone() for part in self._program.states))
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if state is not self._state:
            self._state, self._program = state, None

    def select(self, lanes: np.ndarray) -> None:
        """Goes on with these lanes alone, (B,) as indices, in that order; one may be taken many times."""
        self.state = select_lanes(self.state, torch.from_numpy(lanes))

    def step(self, ids: np.ndarray) -> np.ndarray:
        """Logits (B, V) in float32 after the symbols (B,). They may be changed; the next step replaces them.

        Raises:
            InputError: not one id of the vocabulary for each lane.
        """
        program = self._standing(len(ids))
        if program is None:
            return self._step_of_model(np.ascontiguousarray(ids, np.int64))
        program.ids[:] = ids
        if not compiled.step(program.whole or self._shares(program)):
            raise _wrong(program.ids, program.symbols)
        self._state = None
        return program.out

    def write(self, ids: np.ndarray, chances: np.ndarray, sampling: Sampling, never: int) -> np.ndarray:
        """The symbols (B,) that follow the symbols (B,): a step, and what `sampling` draws after it.

        Args:
            ids: may be what an earlier call returned, which this one replaces.
            chances: (B,) in [0, 1), see `Sampling.draw`.
            sampling: how symbols are drawn.
            never: how many of the first ids are not drawn.

        Raises:
            InputError: not one id of the vocabulary for each lane.
            RunError: the logits are not numbers.
        """
        program = self._standing(len(ids))
        if program is None:
            logits = self.step(ids)
            logits[:, :never] = -np.inf
            return sampling.draw(logits, chances)
        if ids is not program.ids:
            program.ids[:] = ids
        program.chances[:] = chances
        wrong = compiled.write(program.whole or self._shares(program), sampling.drawing, never)
        if wrong == "ids":
            raise _wrong(program.ids, program.symbols)
        self._state = None
        if wrong:
            raise not_finite()
        return program.ids

    def _shares(self, program: Program) -> Shares:
        """What the C code is called with, for a step that is worth dividing."""
        return program.shares(self._threads or torch.get_num_threads())

    def _standing(self, lanes: int) -> Program | None:
        """The program for so many lanes, with the present state in it; None: the model itself is called."""
        if self._program is not None and self._program.lanes == lanes:
            return self._program
        if not self._in_c(lanes):
            return None
        self._program = self._loaded(lanes)
        return self._program

    @torch.inference_mode()
    def step_rows(self, rows: list[Tensor], lanes: np.ndarray, ids: np.ndarray, to: np.ndarray) -> np.ndarray:
        """Logits (B, V) in float32 after the symbols (B,), for states that lie in the rows of a table.

        Args:
            rows: the parts of the states, as `tensors_of` gives them; are changed.
            lanes: the rows (B,) that are read; one may be read several times.
            ids: the symbols (B,).
            to: the rows (B,) where the states after them are written; none twice.
        """
        origin, goal = torch.from_numpy(lanes), torch.from_numpy(to)
        if self._in_c(len(ids)):
            program = self._program_of(len(ids))
            self._program, self._state = program, None
            for part, table in zip(program.states, rows, strict=True):
                torch.index_select(table, 0, origin, out=part)
        else:
            self.state = with_tensors(self._form, (table.index_select(0, origin) for table in rows))
        logits = self.step(ids)
        after = self._program.states if self._program else tensors_of(self.state)
        for part, table in zip(after, rows, strict=True):
            table.index_copy_(0, goal, part)
        return logits

    def _in_c(self, lanes: int) -> bool:
        """Whether so many lanes are stepped by a program."""
        return bool(lanes) and self._compiled and (lanes <= FEW_LANES or self._matrices.type != FP32)

    def _step_of_model(self, symbols: np.ndarray) -> np.ndarray:
        """The same by a block of one position."""
        vocabulary = self._model.config.symbols
        _check_lanes(self.state, len(symbols))
        if not len(symbols) or symbols.min() < 0 or symbols.max() >= vocabulary:
            raise _wrong(symbols, vocabulary)
        logits, self._state = predict(self._model, torch.from_numpy(symbols)[None], self.state)
        self._program = None
        return logits[0].cpu().numpy()

    @torch.inference_mode()
    def _loaded(self, lanes: int) -> Program:
        """The program for so many lanes, with the present state in it."""
        program = self._program_of(lanes)
        _check_lanes(self.state, lanes)
        for part, value in zip(program.states, tensors_of(self.state), strict=True):
            part.copy_(value)
        return program

    def _program_of(self, lanes: int) -> Program:
        if lanes not in self._programs:
            self._programs[lanes] = Program(self._model, lanes, self._matrices, self._memory)
        return self._programs[lanes]


def _check_lanes(state: State, lanes: int) -> None:
    found = next((len(part) for part in tensors_of(state)), lanes)
    if found != lanes:
        raise InputError(f"expected ids for {found} lanes, got {lanes}")


def _wrong(symbols: np.ndarray, vocabulary: int) -> InputError:
    return InputError(
        f"expected ids below {vocabulary}, one for each lane, got {symbols.tolist()}",
        hint="encode texts with the vocabulary of this model",
    )


def _is_float32(model: LanguageModel) -> bool:
    return all(parameter.dtype == torch.float32 for parameter in model.parameters())
