import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onward.layers.state import State, detach, join_lanes, map_state, select_lanes, tensors_of, with_tensors


def nested(lanes: int) -> State:
    """Returns a state of several shapes and depths, in which every number is different."""
    a, b = torch.arange(lanes * 3.0).view(lanes, 3), 100 + torch.arange(lanes * 4.0).view(lanes, 2, 2)
    return (a, (), (b, (a + 50,)))


def test_tensors_of_and_with_tensors_are_inverse() -> None:
    state = nested(2)
    parts = list(tensors_of(state))
    assert [part.shape for part in parts] == [(2, 3), (2, 2, 2), (2, 3)]
    doubled = with_tensors(state, iter([part * 2 for part in parts]))
    assert torch.equal(doubled[0], state[0] * 2)
    assert doubled[1] == ()
    assert torch.equal(doubled[2][0], state[2][0] * 2)
    assert torch.equal(doubled[2][1][0], state[2][1][0] * 2)


def test_map_accepts_several_states() -> None:
    difference = map_state(lambda one, two: one - two, nested(2), nested(2))
    assert all(not part.any() for part in tensors_of(difference))
    assert difference[1] == ()


@given(lanes=st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_selecting_lanes_equals_joining_them(lanes: list[int]) -> None:
    state = nested(5)
    picked = select_lanes(state, torch.tensor(lanes))
    joined = join_lanes([select_lanes(state, torch.tensor([lane])) for lane in lanes])
    for one, other, whole in zip(tensors_of(picked), tensors_of(joined), tensors_of(state), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, torch.stack([whole[lane] for lane in lanes]))


def test_detaching_keeps_the_values_and_drops_the_graph() -> None:
    state = map_state(lambda part: part.requires_grad_(), nested(2))
    for before, after in zip(tensors_of(state), tensors_of(detach(state)), strict=True):
        assert torch.equal(before, after)
        assert before.requires_grad
        assert not after.requires_grad


def test_states_of_different_forms_cannot_be_joined() -> None:
    with pytest.raises((IndexError, TypeError)):
        join_lanes([(torch.zeros(1, 2), torch.zeros(1, 2)), (torch.zeros(1, 2),)])
