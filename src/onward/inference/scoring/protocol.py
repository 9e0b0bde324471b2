"""How a text is read to be scored: in one pass, in lanes, or in cold windows.

Each counts every symbol once.

    streaming   from BEGIN to the end in one pass, the state carried along. A long text is read in lanes, and
                in bfloat16 where that is quicker here: several times as fast, and less than 0.1 % off.
    lanes       the text is cut into segments that are read side by side, each by a lane that has read the
                `WARM_UP` symbols before it, from the initial state. What the state still knew of what lies
                further back is lost, which is less than rounding in most models. One lane is exact.
    cold        windows of a given number of symbols, each from the initial state, its first symbol
                predicted from the symbol before the window (or BEGIN). What published figures of
                transformers mostly are.
    adaptive    in one pass by a model that goes on learning: each block is scored, then learned from (see
                `inference.adapt`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from onward.data.symbols import Symbols
from onward.data.vocabulary import BEGIN, NULL
from onward.errors import InputError
from onward.inference.adapt import Adapting
from onward.inference.prediction import device_of, initial_state, surprise
from onward.model import LanguageModel, block_length
from onward.precision import Precision, in_precision, quick_precision

WARM_UP = 1024
"""Symbols that a lane reads before its segment."""

_SHORTEST_SEGMENT, _LONGEST_SEGMENT = WARM_UP, 64 * WARM_UP  # a lane reads no more before than in it
_WORTH_A_LANE = 8 * WARM_UP  # symbols, of which what it reads before is an eighth
_COLD_POSITIONS = 1 << 18
_QUICK_LANES = 64


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a text is read (see the module).

    Attributes:
        cold: symbols in a window; None reads the text as one.
        lanes: how many segments are read side by side, in float32; fewer for a text of less than 1024 symbols
            a lane. None reads a long text in as many as are quick, in the quickest precision. Has no effect
            on cold windows, of which many are always read at once.
        adapt: how the model learns from what was scored; None leaves it as it is.

    Raises:
        InputError: a window or a number of lanes below 1, or either of them for a model that learns.
    """

    cold: int | None = None
    lanes: int | None = None
    adapt: Adapting | None = None

    def __post_init__(self) -> None:
        if self.cold is not None and self.cold < 1:
            raise InputError(f"expected cold windows of 1 symbol or more, got {self.cold}")
        if self.lanes is not None and self.lanes < 1:
            raise InputError(f"expected 1 lane or more, got {self.lanes}")
        if self.adapt and (self.cold or (self.lanes or 1) > 1):
            raise InputError("a model that learns reads in one pass", hint="leave out cold and lanes")

    @property
    def name(self) -> str:
        """`streaming`, `adaptive`, or `cold-256` with the symbols in a window."""
        if self.adapt:
            return "adaptive"
        return "streaming" if self.cold is None else f"cold-{self.cold}"

    def reading(self, model: LanguageModel, size: int) -> "Reading":
        """How it reads a text of so many symbols with that model."""
        if self.cold is not None:
            window = max(1, min(self.cold, size))
            windows = -(-size // window)
            return Reading(window, lanes=max(1, min(_COLD_POSITIONS // window, 128, windows)))
        if self.adapt:
            return Reading(max(1, size))
        lanes = self.lanes or min(_QUICK_LANES, size // _WORTH_A_LANE)
        if lanes <= 1:
            return Reading(max(1, size))
        segment = min(max(-(-size // lanes), _SHORTEST_SEGMENT), _LONGEST_SEGMENT, size)
        precision = "fp32" if self.lanes else quick_precision(device_of(model))
        return Reading(segment, lanes=min(lanes, -(-size // segment)), warm_up=WARM_UP, precision=precision)


@dataclass(frozen=True)
class Reading:
    """How a text of a known size is read.

    Attributes:
        segment: symbols that a lane reads and counts at a time.
        lanes: segments read side by side.
        warm_up: symbols that a lane reads before its segment, and does not count.
        precision: of the matrix products.
    """

    segment: int
    lanes: int = 1
    warm_up: int = 0
    precision: Precision = "fp32"


def surprises(model: LanguageModel, ids: Symbols, reading: Reading) -> Iterator[np.ndarray]:
    """The nats of each symbol, in order, in pieces (n,) of float32 as they are computed."""
    model.eval()
    size, length = len(ids), reading.segment
    for first in range(0, size, length * reading.lanes):
        starts = np.arange(first, min(first + length * reading.lanes, size), length)
        ends = np.minimum(starts + length, size)
        segments = _Segments(np.maximum(starts - reading.warm_up, 0), starts, ends)
        if reading.lanes == 1:
            yield from _one(model, ids, segments)
        else:
            yield _side_by_side(model, ids, segments, reading.precision)


def part_of_stream(ids: Symbols, start: int, count: int) -> np.ndarray:
    """The symbols from start - 1 on, (count + 1,) in int64: BEGIN before the first, NULL after the last."""
    part = np.full(count + 1, NULL, np.int64)
    if start == 0:
        part[0] = BEGIN
    known = np.asarray(ids[max(0, start - 1) : start + count])
    at = 1 if start == 0 else 0
    part[at : at + len(known)] = known
    return part


@dataclass(frozen=True)
class _Segments:
    """Adjoining segments of a text: where each lane begins to read, and its segment's start and end, (B,)."""

    begins: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def _one(model: LanguageModel, ids: Symbols, segments: _Segments) -> Iterator[np.ndarray]:
    """The nats of a segment of any length, read from its start."""
    for _, nats in _blocks(model, ids, segments.starts, int(segments.ends[0] - segments.starts[0])):
        yield nats[:, 0]


def _side_by_side(
    model: LanguageModel, ids: Symbols, segments: _Segments, precision: Precision
) -> np.ndarray:
    """The nats of all segments, in order."""
    first = int(segments.starts[0])
    found = np.empty(int(segments.ends[-1]) - first, np.float32)
    steps = int((segments.ends - segments.begins).max())
    lanes = [*zip(segments.begins.tolist(), segments.starts.tolist(), segments.ends.tolist(), strict=True)]
    for step, nats in _blocks(model, ids, segments.begins, steps, precision):
        for lane, (begin, start, end) in enumerate(lanes):
            at = begin + step
            low, high = max(at, start), min(at + len(nats), end)
            if low < high:
                found[low - first : high - first] = nats[low - at : high - at, lane]
    return found


def _blocks(
    model: LanguageModel, ids: Symbols, begins: np.ndarray, steps: int, precision: Precision = "fp32"
) -> Iterator[tuple[int, np.ndarray]]:
    """Steps done and the nats of the next (T, B), for lanes that begin at those places (B,)."""
    state = initial_state(model, len(begins))
    block = block_length(len(begins), model.config.symbols)
    for step in range(0, steps, block):
        count = min(block, steps - step)
        parts = [part_of_stream(ids, begin + step, count) for begin in begins.tolist()]
        rows = torch.from_numpy(np.stack(parts, axis=1))  # (T + 1, B)
        with in_precision(device_of(model), precision):
            nats, state = surprise(model, rows[:-1], rows[1:], state)
        yield step, nats.cpu().numpy()
