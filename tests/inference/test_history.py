"""The history of a session: the number of snapshots, and their distances."""

import numpy as np
import torch

from onward.inference.history import History, Snapshot

REACH = 4096
"""The reach of a typing session of the server."""


def snapshot(position: int) -> Snapshot:
    return Snapshot(position, (torch.zeros(1, 3),), torch.zeros(1, 1, 2))


def test_the_number_of_snapshots_stays_bounded() -> None:
    history, sizes = History(snapshot(0), REACH), []
    for position in range(1, 4 * REACH):
        history.append(np.array([1]), snapshot(position))
        sizes.append(len(history.snapshots))
    assert max(sizes) < 80
    assert history.megabytes < 1
    assert REACH <= 4 * REACH - 1 - history.oldest <= 2 * REACH


def test_snapshots_get_sparser_with_age() -> None:
    history = History(snapshot(0), REACH)
    for position in range(1, REACH):
        history.append(np.array([position % 7]), snapshot(position))
    positions = np.array([each.position for each in history.snapshots])
    ages = REACH - 1 - positions[1:]
    gaps = np.diff(positions)
    assert (gaps <= np.maximum(1, (ages + gaps) / 4)).all()


def test_going_back_reads_at_most_a_quarter_of_the_way_again() -> None:
    whole = History(snapshot(0), REACH)
    for position in range(1, REACH):
        whole.append(np.array([position % 7]), snapshot(position))
    for target in range(0, REACH, 97):
        history = whole.copy()
        last, again = history.back(target)
        assert last.position <= target
        assert last.position == history.snapshots[-1].position
        np.testing.assert_array_equal(again, np.arange(last.position + 1, target + 1) % 7)
        assert len(again) <= max(1, (REACH - 1 - last.position) / 4)
        assert len(history.ids) == target - history.oldest


def test_a_snapshot_does_not_keep_the_block_that_it_is_a_slice_of() -> None:
    block = torch.zeros(900, 3)
    history = History(snapshot(0), REACH)
    history.keep(Snapshot(900, (block[-1:],), torch.zeros(1, 1, 2)))
    (part,) = history.snapshots[-1].state
    assert isinstance(part, torch.Tensor)
    assert part.untyped_storage().nbytes() == part.nbytes
