import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.data.encoded import Encoding, encode_text
from onward.data.lanes import PADDING, Block, Lanes, as_stream, unknown_shares
from onward.data.symbols import SymbolFile
from onward.data.vocabulary import BEGIN, UNKNOWN
from onward.errors import CorpusError, RecipeError

SHAPES = {"symbols": st.integers(1, 60), "lanes": st.integers(1, 9), "steps": st.integers(1, 9)}


def corpus(symbols: int) -> np.ndarray:
    """Returns distinct symbols, so that each identifies its place."""
    return np.arange(4, 4 + symbols, dtype=np.uint16)


def half(symbols: int) -> np.ndarray:
    """Returns shares by which half of the occurrences become UNKNOWN."""
    return np.repeat([0.0, 0.5], [4, symbols])


def epoch_of(lanes: Lanes) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns x and y of an epoch, (L, B) each."""
    blocks = [lanes.next() for _ in range(lanes.blocks_per_epoch)]
    return torch.cat([block.x for block in blocks]), torch.cat([block.y for block in blocks])


def same(first: Block, second: Block) -> bool:
    return torch.equal(first.x, second.x) and torch.equal(first.y, second.y) and first.start == second.start


@given(**SHAPES)
def test_each_lane_is_a_contiguous_part_of_the_corpus(symbols: int, lanes: int, steps: int) -> None:
    ids = corpus(symbols)
    made = Lanes(ids, lanes=lanes, steps=steps)
    length = symbols // made.lanes
    for _ in range(2):
        x, y = epoch_of(made)
        for lane in range(made.lanes):
            first = lane * length
            assert y[:, lane].tolist() == ids[first : first + length].tolist()
            assert x[:, lane].tolist() == [BEGIN, *ids][first : first + length]


@given(**SHAPES)
def test_each_symbol_but_the_remainder_is_a_target_once(symbols: int, lanes: int, steps: int) -> None:
    ids = corpus(symbols)
    made = Lanes(ids, lanes=lanes, steps=steps)
    _, y = epoch_of(made)
    assert sorted(y.flatten().tolist()) == ids[: made.symbols_per_epoch].tolist()
    assert 0 <= symbols - made.symbols_per_epoch < made.lanes


@given(**SHAPES)
def test_a_short_corpus_has_fewer_lanes(symbols: int, lanes: int, steps: int) -> None:
    made = Lanes(corpus(symbols), lanes=lanes, steps=steps)
    assert made.lanes == min(lanes, symbols)
    assert made.next().x.shape == (min(steps, symbols // made.lanes), made.lanes)


@given(**SHAPES)
def test_offset_and_start_mark_the_start_of_an_epoch(symbols: int, lanes: int, steps: int) -> None:
    made = Lanes(corpus(symbols), lanes=lanes, steps=steps)
    starts = []
    for _ in range(3 * made.blocks_per_epoch):
        assert (made.position["offset"] == 0) == (len(starts) % made.blocks_per_epoch == 0)
        starts.append(made.next().start)
    assert starts == [i % made.blocks_per_epoch == 0 for i in range(len(starts))]
    assert made.epoch == 3


@given(**SHAPES, read=st.integers(0, 30), rate=st.booleans())
def test_a_restored_cursor_continues_with_the_same_blocks(
    symbols: int, lanes: int, steps: int, read: int, rate: bool
) -> None:
    ids = corpus(symbols)
    shares = half(symbols) if rate else None
    made = Lanes(ids, lanes=lanes, steps=steps, unknown=shares, seed=7)
    for _ in range(read):
        made.next()
    cursor = json.loads(json.dumps(made.position))
    again = Lanes(ids, lanes=lanes, steps=steps, unknown=shares, seed=7)
    again.move(cursor)
    assert all(same(made.next(), again.next()) for _ in range(2 * made.blocks_per_epoch))


@pytest.mark.parametrize(
    "position", [{"epoch": -1, "offset": 0}, {"epoch": 0, "offset": 5}, {"epoch": 0, "offset": -1}]
)
def test_a_cursor_of_another_corpus_is_refused(position: dict[str, int]) -> None:
    with pytest.raises(CorpusError, match="lanes of 5 symbols"):
        Lanes(corpus(10), lanes=2, steps=3).move(position)


@pytest.mark.parametrize(("lanes", "steps"), [(0, 1), (1, 0), (-3, 1)])
def test_lanes_without_symbols_are_refused(lanes: int, steps: int) -> None:
    with pytest.raises(RecipeError, match="at least 1 lane"):
        Lanes(corpus(10), lanes=lanes, steps=steps)


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(CorpusError, match="empty"):
        Lanes(corpus(0), lanes=1, steps=1)


@given(**SHAPES, seed=st.integers(-5, 2**70))
def test_a_symbol_is_unknown_both_as_input_and_as_target(
    symbols: int, lanes: int, steps: int, seed: int
) -> None:
    made = Lanes(corpus(symbols), lanes=lanes, steps=steps, unknown=half(symbols), seed=seed)
    x, y = epoch_of(made)
    stream = y.T.flatten()
    assert x.T.flatten().tolist() == [BEGIN, *stream.tolist()[:-1]]


def test_unknown_has_its_share_and_other_places_each_epoch() -> None:
    ids = np.full(20_000, 4, np.uint8)
    shares = np.array([0, 0, 0, 0, 0.25])
    made = Lanes(ids, lanes=10, steps=100, unknown=shares, seed=3)
    hidden = [epoch_of(made)[1] == UNKNOWN for _ in range(2)]
    assert [float(found.float().mean()) for found in hidden] == pytest.approx([0.25, 0.25], abs=0.015)
    assert float((hidden[0] & hidden[1]).float().mean()) == pytest.approx(0.25**2, abs=0.01)
    other = Lanes(ids, lanes=10, steps=100, unknown=shares, seed=4)
    assert not torch.equal(epoch_of(other)[1] == UNKNOWN, hidden[0])


def test_the_choice_of_unknown_does_not_depend_on_the_shape_of_blocks() -> None:
    ids, shares = corpus(48), half(48)
    streams = [
        epoch_of(Lanes(ids, lanes=lanes, steps=steps, unknown=shares))[1].T.flatten().tolist()
        for lanes, steps in [(1, 48), (4, 5), (6, 1)]
    ]
    assert streams[0] == streams[1] == streams[2]


@given(**SHAPES, seed=st.integers(-5, 2**70))
def test_shifted_lanes_read_the_text_as_a_ring(symbols: int, lanes: int, steps: int, seed: int) -> None:
    made = Lanes(corpus(symbols), lanes=lanes, steps=steps, seed=seed, shifted=True)
    ring = [BEGIN, *corpus(symbols).tolist()]
    for epoch in range(4):
        x, y = epoch_of(made)
        stream, first = x.T.flatten().tolist(), ring.index(int(x[0, 0]))
        assert first == 0 or epoch
        assert stream == [ring[(first + i) % len(ring)] for i in range(len(stream))]
        after = [ring[(first + i + 1) % len(ring)] for i in range(len(stream))]
        assert y.T.flatten().tolist() == [PADDING if symbol == BEGIN else symbol for symbol in after]


@given(**SHAPES, read=st.integers(0, 30))
def test_shifted_lanes_continue_from_a_cursor(symbols: int, lanes: int, steps: int, read: int) -> None:
    made, again = (
        Lanes(corpus(symbols), lanes=lanes, steps=steps, unknown=half(symbols), seed=7, shifted=True)
        for _ in range(2)
    )
    for _ in range(read):
        made.next()
    again.move(made.position)
    assert all(same(made.next(), again.next()) for _ in range(2 * made.blocks_per_epoch))


def test_lanes_start_elsewhere_each_epoch_and_with_each_seed() -> None:
    def beginnings(seed: int) -> list[int]:
        made = Lanes(np.arange(4, 200, dtype=np.uint8), lanes=3, steps=10, seed=seed, shifted=True)
        return [int(epoch_of(made)[0][0, 0]) for _ in range(6)]

    assert len(set(beginnings(0))) == 6
    assert beginnings(0)[1:] != beginnings(1)[1:]


@given(**SHAPES, read=st.integers(0, 30), shifted=st.booleans())
def test_noise_continues_from_a_cursor(
    symbols: int, lanes: int, steps: int, read: int, shifted: bool
) -> None:
    made, again = (
        Lanes(corpus(symbols), lanes=lanes, steps=steps, seed=7, shifted=shifted, noise=0.3) for _ in range(2)
    )
    for _ in range(read):
        made.next()
    again.move(made.position)
    assert all(same(made.next(), again.next()) for _ in range(2 * made.blocks_per_epoch))


@given(**SHAPES, shifted=st.booleans())
def test_noise_changes_inputs_and_not_targets(symbols: int, lanes: int, steps: int, shifted: bool) -> None:
    ids = corpus(symbols)
    clean, noisy = (
        Lanes(ids, lanes=lanes, steps=steps, shifted=shifted, noise=noise) for noise in (0.0, 1.0)
    )
    for _ in range(3):
        (x, y), (other, same_y) = epoch_of(clean), epoch_of(noisy)
        assert torch.equal(y, same_y)
        assert torch.equal(x == BEGIN, other == BEGIN)
        assert set(other[x != BEGIN].tolist()) <= set(ids.tolist())


def test_noise_has_its_share_of_all_symbols_and_other_places_each_epoch() -> None:
    ids = np.random.default_rng(0).permutation(np.repeat([4, 5], [5_000, 15_000])).astype(np.uint8)
    ring = torch.tensor([BEGIN, *ids.tolist()])[:-1].reshape(10, -1).T
    made = Lanes(ids, lanes=10, steps=100, seed=3, noise=0.4)
    read = [epoch_of(made)[0] for _ in range(2)]
    for x in read:
        changed = x != ring
        assert float(changed[ring == 4].float().mean()) == pytest.approx(0.4 * 0.75, abs=0.02)
        assert float(changed[ring == 5].float().mean()) == pytest.approx(0.4 * 0.25, abs=0.01)
    assert float(((read[0] != ring) & (read[1] != ring)).float().mean()) == pytest.approx(
        0.25 * 0.3**2 + 0.75 * 0.1**2, abs=0.005
    )


def test_noise_above_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="noise from 0 to 1"):
        Lanes(corpus(10), lanes=1, steps=1, noise=1.5)


def test_shares_of_unknown() -> None:
    shares = unknown_shares(np.array([9, 9, 0, 9, 0, 1, 2, 50]))
    assert shares.tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.25, 0.01]


def test_each_symbol_loses_half_an_occurrence_to_unknown() -> None:
    encoded = encode_text("abracadabra", Encoding())
    shares = unknown_shares(encoded.counts)
    assert (shares * encoded.counts).tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]


@given(st.integers(1, 50))
def test_one_lane_equals_the_whole_stream(symbols: int) -> None:
    made = Lanes(corpus(symbols), lanes=1, steps=symbols)
    x, y = as_stream(corpus(symbols))
    assert same(made.next(), Block(x, y, True))


def test_a_corpus_in_a_file_gives_the_same_blocks(tmp_path: Path) -> None:
    ids = corpus(1000)
    path = tmp_path / "ids"
    path.write_bytes(ids.tobytes())
    first, second = (
        Lanes(source, lanes=7, steps=20, unknown=half(1000), noise=0.1)
        for source in (ids, SymbolFile(path, ids.dtype, int(ids.max()) + 1))
    )
    assert all(same(first.next(), second.next()) for _ in range(20))
