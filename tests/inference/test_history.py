"""Where a session has been: how many moments are kept, and how far apart."""

import numpy as np
import torch

from onward.inference.history import History, Moment

TYPED = 4096
"""The reach of who types (`serve.typed_text.REACH`)."""


def moment(position: int) -> Moment:
    return Moment(position, (torch.zeros(1, 3),), torch.zeros(1, 1, 2))


def test_who_types_on_keeps_no_more_than_after_the_first_minute() -> None:
    trail, most = History(moment(0), TYPED), []
    for position in range(1, 4 * TYPED):
        trail.append(np.array([1]), moment(position))
        most.append(len(trail.moments))
    assert max(most) <= max(most[:100]) + 1
    assert trail.megabytes < 1
    assert trail.oldest < 4 * TYPED - TYPED


def test_moments_lie_the_further_apart_the_longer_ago_they_are() -> None:
    trail = History(moment(0), TYPED)
    for position in range(1, TYPED):
        trail.append(np.array([position % 7]), moment(position))
    positions = np.array([each.position for each in trail.moments])
    ages = TYPED - 1 - positions[1:]
    gaps = np.diff(positions)
    assert (gaps <= np.maximum(1, (ages + gaps) / 4)).all()
    last, again = trail.back(TYPED // 2)
    assert last.position <= TYPED // 2 < TYPED
    np.testing.assert_array_equal(again, np.arange(last.position + 1, TYPED // 2 + 1) % 7)
    assert len(again) <= TYPED / 8  # a quarter of the way
