import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.lanes import PADDING
from onward.data.sequences import SequenceLanes, Sequences
from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN
from onward.errors import CorpusError, RecipeError

A, B, C = 4, 5, 6
LISTS = st.lists(st.lists(st.integers(4, 9), max_size=12), min_size=1, max_size=30)


def of(*sequences: list[int]) -> Sequences:
    return Sequences.of(np.array(sequence, np.int64) for sequence in sequences)


def lists(sequences: Sequences) -> list[list[int]]:
    return [part.tolist() for part in sequences]


def epoch(lanes: SequenceLanes) -> list[list[list[int]]]:
    """Returns the inputs and targets of each sequence of one epoch, as pairs of lists."""
    found: list[list[list[int]]] = []
    number = lanes.epoch
    rows: list[list[list[int]]] = []
    while lanes.epoch == number:
        x, y, start = lanes.next()
        if start:
            rows = [[[], []] for _ in range(lanes.lanes)]
            found += rows
        for lane, row in enumerate(rows):
            inside = y[:, lane] != PADDING
            row[0] += x[inside, lane].tolist()
            row[1] += y[inside, lane].tolist()
            assert (x[~inside, lane] == NULL).all()
    return [row for row in found if row[0]]


def test_sequences_can_be_taken_in_any_order() -> None:
    sequences = of([A, B], [], [C])
    assert len(sequences) == 3
    assert sequences.lengths.tolist() == [2, 0, 1]
    assert lists(sequences.take(np.array([2, 0, 0, 1]))) == [[C], [A, B], [A, B], []]
    assert len(of()) == 0 and of().ids.shape == (0,)


def test_distinct_returns_each_sequence_once_and_the_index_of_every_one() -> None:
    sequences = of([A, B], [C], [A, B], [], [B, A], [])
    distinct, places = sequences.distinct()
    assert lists(distinct) == [[A, B], [C], [], [B, A]]
    assert places.tolist() == [0, 1, 0, 2, 3, 2]
    assert len(of().distinct()[0]) == 0


def test_a_batch_is_padded_as_documented() -> None:
    sequences = of([A, B], [C], [])
    x, y = sequences.padded(np.array([0, 1, 2]), 0, 3)
    assert x.T.tolist() == [[BEGIN, A, B], [BEGIN, C, NULL], [BEGIN, NULL, NULL]]
    assert y.T.tolist() == [[A, B, END], [C, END, PADDING], [END, PADDING, PADDING]]
    later = sequences.padded(np.array([0, 1]), 1, 3)
    assert np.array_equal(later[0], x[1:, :2]) and np.array_equal(later[1], y[1:, :2])


@given(LISTS, st.integers(1, 7), st.integers(1, 7), st.integers(0, 3))
def test_every_sequence_is_read_once_an_epoch_from_begin_to_end(
    sequences: list[list[int]], width: int, steps: int, seed: int
) -> None:
    lanes = SequenceLanes(of(*sequences), lanes=width, steps=steps, seed=seed)
    for _ in range(2):
        rows = epoch(lanes)
        assert sorted(y for _, y in rows) == sorted([*ids, END] for ids in sequences)
        assert all(x == [BEGIN, *y[:-1]] for x, y in rows)


def test_the_order_depends_on_epoch_and_seed() -> None:
    sequences = of(*([A] * i for i in range(40)))
    lanes = SequenceLanes(sequences, lanes=4, steps=50, seed=0)
    one, two = epoch(lanes), epoch(lanes)
    assert one != two
    assert one == epoch(SequenceLanes(sequences, lanes=4, steps=50, seed=0))
    assert one != epoch(SequenceLanes(sequences, lanes=4, steps=50, seed=1))


@pytest.mark.parametrize("read", [0, 1, 7, 30])
def test_a_restored_cursor_continues_with_the_same_blocks(read: int) -> None:
    sequences = of(*([A + i % 3] * (i % 9) for i in range(50)))
    unknown = np.full(9, 0.3)
    first = SequenceLanes(sequences, lanes=8, steps=4, unknown=unknown, seed=2)
    for _ in range(read):
        first.next()
    second = SequenceLanes(sequences, lanes=8, steps=4, unknown=unknown, seed=2)
    second.move(first.position)
    for _ in range(30):
        one, two = first.next(), second.next()
        assert one.x.equal(two.x) and one.y.equal(two.y) and one.start == two.start


def test_unknown_has_its_share_and_other_places_each_epoch() -> None:
    shares = np.zeros(7)
    shares[B] = 0.25
    sequences = of([A, B] * 2000)
    lanes = SequenceLanes(sequences, lanes=1, steps=500, unknown=shares, seed=0)
    ((_, one),), ((_, two),) = epoch(lanes), epoch(lanes)
    assert one[0:4000:2] == [A] * 2000 and one[-1] == END
    assert set(one[1:4000:2]) == {B, UNKNOWN} and one != two
    assert one.count(UNKNOWN) == pytest.approx(500, abs=80)  # four standard deviations


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(CorpusError, match="at least one sequence"):
        SequenceLanes(of(), lanes=1, steps=1)
    with pytest.raises(RecipeError, match="at least 1 lane"):
        SequenceLanes(of([A]), lanes=0, steps=1)
    with pytest.raises(CorpusError, match="expected a position in 1 blocks") as caught:
        SequenceLanes(of([A]), lanes=1, steps=5).move({"epoch": 0, "offset": 1})
    assert "same sequences" in caught.value.hint
