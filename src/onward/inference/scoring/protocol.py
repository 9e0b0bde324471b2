"""Protocols: how a text is read while it is scored.

Each protocol scores every symbol once.

    streaming   the text is read in one pass, and the state is carried along. A long text is cut into
                segments that are read in parallel lanes, in bfloat16 if the device is faster with it. This is
                faster and changes the score by less than 0.1 %.
    lanes       streaming with a given number of parallel lanes. Each lane starts from the empty state and
                first reads the `WARM_UP` symbols before its segment without scoring them. Earlier symbols
                have no influence; for most models this matters less than rounding. One lane is exact.
    cold        windows of a given number of symbols, each from the empty state. The first symbol of a
                window is predicted from the symbol before the window (or BEGIN). Most published results of
                transformers are measured in this way.
    adaptive    the text is read in one pass by a model that learns: each block is scored, and then the model
                learns from it (see `inference.adapt`).
    memory      the text is read in one pass with a memory: each symbol is scored, and then the memory learns
                it (see `onward.memory`). With `adaptive+memory`, the model learns too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from onward.data.symbols import Symbols
from onward.data.vocabulary import BEGIN, NULL
from onward.errors import InputError
from onward.inference.adapt import AdaptOptions
from onward.inference.prediction import initial_state, surprise
from onward.memory.memory import Memory
from onward.model import LanguageModel, block_length
from onward.precision import Precision, in_precision, quick_precision

Learn = Literal["none", "memory", "weights", "both"]
"""What learns from a text after it was scored: nothing, a memory, a copy of the model's weights, or both."""


def learns_memory(learn: Learn) -> bool:
    """Whether a memory learns."""
    return learn in ("memory", "both")


def learns_weights(learn: Learn) -> bool:
    """Whether a copy of the weights learns."""
    return learn in ("weights", "both")


WARM_UP = 1024
"""Number of symbols that a lane reads before its segment."""

SHORTEST_SEGMENT, LONGEST_SEGMENT = WARM_UP, 64 * WARM_UP
"""Limits of a segment in symbols. The warm-up is never longer than the segment."""

SYMBOLS_PER_LANE = 8 * WARM_UP
"""Minimum number of symbols of a lane, unless the caller chooses the number of lanes: the warm-up is then at
most an eighth of the work."""

COLD_POSITIONS = 1 << 18
"""Maximum number of positions of the cold windows that are read in parallel."""

_QUICK_LANES = 64
"""Maximum number of lanes, unless the caller chooses it."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a text is read while it is scored (see the module).

    Attributes:
        cold: number of symbols of a cold window; None reads the text as a whole.
        lanes: number of parallel lanes, in float32; fewer are used if a lane would have less than 1024
            symbols. None uses the fastest number of lanes and precision. Cold windows ignore it.
        adapt: how a copy of the weights learns; None means that the weights do not learn.
        memory: the memory at the start of the text; None means no memory.
        precision: precision of the matrix products of parallel lanes; None measures which is faster.

    Raises:
        InputError: the window or the number of lanes is below 1, or one of them is combined with learning.
    """

    cold: int | None = None
    lanes: int | None = None
    adapt: AdaptOptions | None = None
    memory: Memory | None = None
    precision: Precision | None = None

    def __post_init__(self) -> None:
        if self.cold is not None and self.cold < 1:
            raise InputError(f"expected cold windows of 1 symbol or more, got {self.cold}")
        if self.lanes is not None and self.lanes < 1:
            raise InputError(f"expected 1 lane or more, got {self.lanes}")
        if self.learns and (self.cold or (self.lanes or 1) > 1):
            raise InputError(
                "expected one pass, since the memory or weights learn, got cold windows or several lanes",
                hint="leave out cold and lanes",
            )

    @property
    def learns(self) -> bool:
        """Whether the weights or a memory learn."""
        return bool(self.adapt or self.memory)

    @property
    def name(self) -> str:
        """`streaming`, `adaptive`, `memory`, or for example `cold-256` for windows of 256 symbols."""
        if self.learns:
            return "+".join(
                name for name in ("adaptive" * bool(self.adapt), "memory" * bool(self.memory)) if name
            )
        return "streaming" if self.cold is None else f"cold-{self.cold}"

    def plan(self, model: LanguageModel, size: int) -> "ScoringPlan":
        """Returns the plan for a text of `size` symbols."""
        if self.cold is not None:
            window = max(1, min(self.cold, size))
            windows = -(-size // window)
            return ScoringPlan(window, lanes=max(1, min(COLD_POSITIONS // window, 128, windows)))
        if self.learns:
            return ScoringPlan(max(1, size))
        lanes = self.lanes or min(_QUICK_LANES, size // SYMBOLS_PER_LANE)
        if lanes <= 1:
            return ScoringPlan(max(1, size))
        segment = min(max(-(-size // lanes), SHORTEST_SEGMENT), LONGEST_SEGMENT, size)
        precision = "fp32" if self.lanes else self.precision or quick_precision(model.device)
        lanes = min(lanes, -(-size // segment))
        return ScoringPlan(segment, lanes=lanes, warm_up=WARM_UP, precision=precision)


@dataclass(frozen=True)
class ScoringPlan:
    """How a text of a known size is read.

    Attributes:
        segment: number of symbols of a segment.
        lanes: number of segments that are read in parallel.
        warm_up: number of symbols that a lane reads before its segment without scoring them.
        precision: precision of the matrix products.
    """

    segment: int
    lanes: int = 1
    warm_up: int = 0
    precision: Precision = "fp32"


def surprises(model: LanguageModel, ids: Symbols, plan: ScoringPlan) -> Iterator[np.ndarray]:
    """Yields the surprise of each symbol in nats, in order, in pieces (n,) of float32."""
    model.eval()
    size, length = len(ids), plan.segment
    for first in range(0, size, length * plan.lanes):
        starts = np.arange(first, min(first + length * plan.lanes, size), length)
        ends = np.minimum(starts + length, size)
        segments = _Segments(np.maximum(starts - plan.warm_up, 0), starts, ends)
        if plan.lanes == 1:
            yield from _one_lane(model, ids, segments)
        else:
            yield _parallel_lanes(model, ids, segments, plan.precision)


def part_of_stream(ids: Symbols, start: int, count: int) -> np.ndarray:
    """Returns the symbols from position start - 1 on, (count + 1,) in int64.

    BEGIN comes before the first symbol of the text, and NULL fills the rest after the last symbol.
    """
    part = np.full(count + 1, NULL, np.int64)
    if start == 0:
        part[0] = BEGIN
    known = np.asarray(ids[max(0, start - 1) : start + count])
    at = 1 if start == 0 else 0
    part[at : at + len(known)] = known
    return part


@dataclass(frozen=True)
class _Segments:
    """Consecutive segments of a text, one for each lane.

    Attributes:
        begins: where each lane starts to read, (B,).
        starts: where each segment starts, (B,).
        ends: where each segment ends, (B,).
    """

    begins: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def _one_lane(model: LanguageModel, ids: Symbols, segments: _Segments) -> Iterator[np.ndarray]:
    """Yields the surprise of a single segment, block by block."""
    for _, nats in _blocks(model, ids, segments.starts, int(segments.ends[0] - segments.starts[0])):
        yield nats[:, 0]


def _parallel_lanes(
    model: LanguageModel, ids: Symbols, segments: _Segments, precision: Precision
) -> np.ndarray:
    """Returns the surprise of all segments, in the order of the text."""
    first = int(segments.starts[0])
    surprise_of_all = np.empty(int(segments.ends[-1]) - first, np.float32)
    steps = int((segments.ends - segments.begins).max())
    lanes = [*zip(segments.begins.tolist(), segments.starts.tolist(), segments.ends.tolist(), strict=True)]
    for step, nats in _blocks(model, ids, segments.begins, steps, precision):
        for lane, (begin, start, end) in enumerate(lanes):
            at = begin + step
            low, high = max(at, start), min(at + len(nats), end)
            if low < high:
                surprise_of_all[low - first : high - first] = nats[low - at : high - at, lane]
    return surprise_of_all


def _blocks(
    model: LanguageModel, ids: Symbols, begins: np.ndarray, steps: int, precision: Precision = "fp32"
) -> Iterator[tuple[int, np.ndarray]]:
    """Reads lanes block by block.

    Args:
        model: the model.
        ids: the text.
        begins: where each lane starts, (B,).
        steps: number of symbols of each lane.
        precision: precision of the matrix products.

    Yields:
        The number of steps before the block, and the surprise of its symbols in nats, (T, B).
    """
    state = initial_state(model, len(begins))
    block = block_length(len(begins), model.config.symbols)
    for step in range(0, steps, block):
        count = min(block, steps - step)
        parts = [part_of_stream(ids, begin + step, count) for begin in begins.tolist()]
        rows = torch.from_numpy(np.stack(parts, axis=1))  # (T + 1, B)
        with in_precision(model.device, precision):
            nats, state = surprise(model, rows[:-1], rows[1:], state)
        yield step, nats.cpu().numpy()
