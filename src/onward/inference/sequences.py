"""Many short sequences at once, such as the events of a machine: what is the same in several is read once.

Each sequence is read by itself, from BEGIN to END. Sorted, those with the same beginning lie side by side,
and a beginning is read by one lane. Where they part, the lane is taken once for each way on; where a
sequence ends, its lane does. So a sequence that comes again costs nothing, and nothing is padded but where
that is less than the cost of another call of the model.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, END, Ids, Vocabulary
from onward.inference.prediction import device_of, initial_state, surprise
from onward.inference.source import ids_of
from onward.layers.state import State, join_lanes, select_lanes, tensors_of
from onward.model import LanguageModel, block_length, positions_at_once

_LARGEST_TABLE = 1 << 24
"""Positions of the sequences that are read together, the longest times their number."""

_LARGEST_STATE = 1 << 25
"""Numbers in the states of their lanes."""

_LANES = 1024
"""That are read side by side where no beginnings are shared: their states then stay in the caches."""

_CALL = 1 << 26
"""Weights that are multiplied in about the time that a call of a model takes besides."""

_FEWEST_STEPS = 32
"""Positions of a lane that are read in one call, where its beginning is not shared."""


@dataclass(frozen=True)
class SequenceScores:
    """How surprising sequences were.

    Attributes:
        nats: of each sequence, its end included, (S,) in float64.
    """

    nats: np.ndarray
    _numbers: np.ndarray  # which of the distinct ones a sequence is, (S,)
    _starts: np.ndarray  # where the events of each distinct one begin, (D + 1,)
    _events: np.ndarray  # nats of the events of the distinct ones, one after another

    def events(self, index: int) -> np.ndarray:
        """The nats of each event of a sequence of n, and of its end, (n + 1,) in float32."""
        number = self._numbers[index]
        return self._events[self._starts[number] : self._starts[number + 1]]


def score_sequences(
    model: LanguageModel, vocabulary: Vocabulary, sequences: Iterable[Ids], *, once: bool = True
) -> SequenceScores:
    """The nats of each sequence and of its events, in float32: to rounding those of one read by itself.

    Args:
        model: is used in evaluation mode.
        vocabulary: what its ids mean.
        sequences: ids, each (n,); n may be 0.
        once: whether what is the same in several sequences is read once; otherwise each is read whole, which
            tells what that gains.

    Raises:
        VocabularyError: ids that the vocabulary does not have.
    """
    model.eval()
    keys, dtype = _keys(sequences, vocabulary)
    if once:
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        numbers, keys = np.fromiter(map(places.__getitem__, keys), np.int64, len(keys)), [*places]
    else:
        numbers = np.arange(len(keys))
    lengths = np.fromiter(map(len, keys), np.int64, len(keys)) // dtype.itemsize + 1  # with END
    starts = np.concatenate([[0], lengths.cumsum()])
    events, totals = np.empty(starts[-1], np.float32), np.empty(len(keys))
    most = _most_lanes(model) if once else min(_LANES, _most_lanes(model))
    for members in _groups(lengths, most):
        members.sort(key=keys.__getitem__)
        table = _table([keys[i] for i in members], lengths[members], dtype)
        nats = _read(model, table, lengths[members], _shared(table, once=once))
        real = np.arange(nats.shape[1]) < lengths[members, None]
        events[(starts[members, None] + np.arange(nats.shape[1]))[real]] = nats[real]
        totals[members] = nats.sum(1, where=real, dtype=np.float64)
    return SequenceScores(totals[numbers], numbers, starts, events)


def _keys(sequences: Iterable[Ids], vocabulary: Vocabulary) -> tuple[list[bytes], np.dtype]:
    """The ids of each sequence as bytes, whose order is theirs, and the type that they are in."""
    dtype = vocabulary.dtype.newbyteorder(">")
    empty = np.zeros(0, vocabulary.dtype)
    arrays = [np.asarray(sequence) if len(sequence) else empty for sequence in sequences]
    wrong = next((array for array in arrays if array.ndim != 1), None)
    if wrong is not None:
        ids_of(wrong, vocabulary)  # tells what is wrong
    raw = ids_of(np.concatenate([empty, *arrays]), vocabulary).astype(dtype).tobytes()
    stops = (np.fromiter(map(len, arrays), np.int64, len(arrays)).cumsum() * dtype.itemsize).tolist()
    return [raw[start:stop] for start, stop in zip([0, *stops], stops, strict=False)], dtype


def _most_lanes(model: LanguageModel) -> int:
    """How many lanes have states that fit into memory."""
    numbers = sum(part.numel() for part in tensors_of(initial_state(model, 1)))
    return max(1, _LARGEST_STATE // max(1, numbers))


def _groups(lengths: np.ndarray, most: int) -> Iterator[list[int]]:
    """The sequences, each in one group: those of about the same length together, as many as fit."""
    group: list[int] = []
    for i in np.argsort(lengths, kind="stable").tolist():
        if group and (len(group) == most or (len(group) + 1) * lengths[i] > _LARGEST_TABLE):
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def _table(keys: list[bytes], lengths: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Sequences as rows, (N, 1 + longest): BEGIN, the ids, and END, repeated to the end of the row."""
    table = np.full((len(keys), 1 + lengths.max()), END, dtype)
    table[:, 0] = BEGIN
    inside = np.arange(1, table.shape[1]) < lengths[:, None]
    table[:, 1:][inside] = np.frombuffer(b"".join(keys), dtype)
    return table


def _shared(table: np.ndarray, *, once: bool) -> np.ndarray:
    """How many symbols after BEGIN each row has in common with the row above, (N,)."""
    shared = np.zeros(len(table), np.int64)
    if once:
        shared[1:] = (table[1:, 1:] != table[:-1, 1:]).argmax(1)
    return shared


def _read(model: LanguageModel, table: np.ndarray, lengths: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """The nats of the symbols after BEGIN, (N, longest); of what stands behind an END they mean nothing."""
    nats = np.zeros((len(table), table.shape[1] - 1), np.float32)
    lane_of, state = np.zeros(len(table), np.int64), initial_state(model, 1)
    for start, stop in _segments(model, lengths, shared):
        going = np.flatnonzero(lengths > start)
        first = shared[going] < stop  # of those that are the same until there
        rows = going[first]
        found, state = _advance(model, table[rows, start : stop + 1], state, lane_of[rows])
        lane_of[going] = first.cumsum() - 1
        nats[going, start:stop] = found[:, lane_of[going]].T
    return nats


def _segments(model: LanguageModel, lengths: np.ndarray, shared: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where to start and to stop, from 0 to the longest length; lanes part and end only between segments.

    A segment has a lane for each beginning that differs at its stop, and reads it from its start. It goes on
    as long as that is quicker than another call for the next position.
    """
    longest, call = int(lengths.max()), _CALL // model.parameter_count()
    longer = len(lengths) - np.bincount(lengths, minlength=longest + 1).cumsum()  # than that many symbols
    alike = len(shared) - np.bincount(shared, minlength=longest + 1).cumsum()  # in more than that many
    start = 0
    while start < longest:
        stop, lanes = start + 1, int(longer[start] - alike[start])
        while stop < longest:
            more = int(longer[start] - alike[stop])
            alone = int(longer[stop] - alike[stop])
            if more * (stop + 1 - start) > lanes * (stop - start) + alone + call:
                break
            if stop - start >= max(_FEWEST_STEPS, block_length(more, model.config.symbols)):
                break
            stop, lanes = stop + 1, more
        yield start, stop
        start = stop


@torch.inference_mode()
def _advance(
    model: LanguageModel, rows: np.ndarray, state: State, lanes: np.ndarray
) -> tuple[np.ndarray, State]:
    """The nats (T, B) of rows (B, T + 1), each read by the lane of a state that `lanes` (B,) names."""
    symbols = torch.from_numpy(rows.T.astype(np.int64)).to(device_of(model))
    chosen = torch.from_numpy(lanes).to(symbols.device)
    most = max(1, positions_at_once(model.config.symbols) // (len(symbols) - 1))
    nats, states = [], []
    for x, y, before in zip(
        symbols[:-1].split(most, 1), symbols[1:].split(most, 1), chosen.split(most), strict=True
    ):
        found, after = surprise(model, x, y, select_lanes(state, before))
        nats.append(found)
        states.append(after)
    return torch.cat(nats, dim=1).cpu().numpy(), states[0] if len(states) == 1 else join_lanes(states)
