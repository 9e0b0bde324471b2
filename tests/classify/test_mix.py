import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import count, islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from onward.classify.mix import MixIterator
from onward.data.windows import Windows
from onward.errors import InputError

sizes = st.integers(1, 30)
weights = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def numbered(size: int, first: int = 0) -> TensorDataset:
    """Returns examples (x, y) that contain their index."""
    numbers = torch.arange(first, first + size)
    return TensorDataset(numbers[:, None].float(), numbers)


def batches(size: int, step: int, first: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Returns the same examples as a list of batches."""
    x, y = numbered(size, first).tensors
    return list(zip(x.split(step), y.split(step), strict=True))


def endless() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for first in count(0, 3):
        y = torch.arange(first, first + 3)
        yield y[:, None].float(), y


class Examples(Dataset[Any]):
    """A data set of given examples."""

    def __init__(self, make: Callable[[int], Any], size: int = 6) -> None:
        self.make, self.size = make, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return ((torch.tensor([float(i)]), i) for i in range(7))


def labels(mix: MixIterator, number: int) -> list[list[int]]:
    return [y.tolist() for _, y in islice(iter(lambda: next(mix), None), number)]


@settings(deadline=None, max_examples=25)
@given(weights, st.integers(1, 12))
def test_each_batch_holds_the_shares_and_rounding_errors_are_carried_over(
    shares: list[int], size: int
) -> None:
    sources = [numbered(1, number) for number in range(len(shares))]
    mix = MixIterator(sources, size, shares)
    given_so_far = [0] * len(shares)
    for number in range(1, sum(shares) + 1):
        (drawn,) = labels(mix, 1)
        for i, weight in enumerate(shares):
            exact = Fraction(size * weight, sum(shares))
            assert drawn.count(i) in (exact.__floor__(), exact.__ceil__())
            given_so_far[i] += drawn.count(i)
            assert abs(given_so_far[i] - number * exact) < (1 if len(shares) <= 3 else 2)
    if len(shares) <= 3:
        assert given_so_far == [size * weight for weight in shares]


def test_decimal_shares_are_exact() -> None:
    mix = MixIterator([numbered(5), numbered(5)], 10, [0.7, 0.3])
    labels(mix, 100)
    assert mix.position["given"] == [700, 300]


def test_thirds_are_exact() -> None:
    mix = MixIterator([numbered(5), numbered(5)], 10, [2 / 3, 1 / 3])
    labels(mix, 300)
    assert mix.position["given"] == [2000, 1000]


@settings(deadline=None, max_examples=25)
@given(sizes, sizes, st.integers(1, 9), st.integers(0, 99))
def test_each_source_is_read_completely_before_it_restarts(one: int, two: int, size: int, seed: int) -> None:
    mix = MixIterator([numbered(one), numbered(two, 1000)], size, [0.6, 0.4], seed=seed)
    drawn = [label for batch in labels(mix, 3 * (one + two) // size + 3) for label in batch]
    for first, length in ((0, one), (1000, two)):
        own = [label for label in drawn if (label >= 1000) == (first == 1000)]
        for start in range(0, len(own) - length + 1, length):
            assert sorted(own[start : start + length]) == list(range(first, first + length))


def test_the_order_depends_on_source_epoch_and_seed() -> None:
    def orders(seed: int) -> list[list[int]]:
        drawn = labels(MixIterator([numbered(40), numbered(40)], 80, [1, 1], seed=seed), 2)
        return [half for batch in drawn for half in (batch[:40], batch[40:])]

    found = orders(3)
    assert found == orders(3)
    assert len({tuple(order) for order in found + orders(4)}) == 8


def test_without_shuffling_data_sets_keep_their_order() -> None:
    mix = MixIterator([numbered(5)], 4, [1], shuffle=False)
    assert labels(mix, 3) == [[0, 1, 2, 3], [4, 0, 1, 2], [3, 4, 0, 1]]


def test_samples_are_in_the_order_of_the_sources() -> None:
    mix = MixIterator({"labelled": numbered(8), "pseudo": numbered(8, 100)}, 4, [0.75, 0.25])
    for batch in labels(mix, 5):
        assert [label >= 100 for label in batch] == [False, False, False, True]


KINDS: dict[str, Callable[[], Any]] = {
    "data set": lambda: numbered(7),
    "examples": lambda: Examples(lambda i: (torch.tensor([float(i)]), i), 7),
    "stream of examples": Stream,
    "list of batches": lambda: batches(7, 3),
    "loader": lambda: DataLoader(numbered(7), batch_size=4),
    "function of the epoch": lambda: lambda epoch: iter(batches(7, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_of_any_kind_restarts_when_it_ends(kind: str) -> None:
    mix = MixIterator([KINDS[kind]()], 5, [1], shuffle=False)
    drawn = [label for batch in labels(mix, 7) for label in batch]
    assert drawn == [*range(7)] * 5


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 12), st.integers(1, 8))
@pytest.mark.slow
def test_a_mix_continues_from_a_saved_position(kind: str, before: int, size: int) -> None:
    def mix() -> MixIterator:
        return MixIterator([KINDS[kind](), numbered(11, 50), numbered(3)], size, [0.5, 0.3, 0.2], seed=1)

    first, second = mix(), mix()
    labels(first, before)
    second.move(json.loads(json.dumps(first.position)))
    assert labels(second, 9) == labels(first, 9)


@pytest.mark.parametrize("kind", KINDS)
def test_reset_restarts_the_mix(kind: str) -> None:
    mix = MixIterator([KINDS[kind](), numbered(4)], 3, [0.5, 0.5])
    first = labels(mix, 9)
    mix.reset()
    assert labels(mix, 9) == first


def test_an_endless_source_never_ends() -> None:
    mix = MixIterator([endless(), numbered(4)], 4, [0.5, 0.5])
    assert [batch[:2] for batch in labels(mix, 50)] == [[2 * i, 2 * i + 1] for i in range(50)]


def test_a_function_receives_the_epoch() -> None:
    windows = Windows(torch.arange(30).numpy(), length=3, stride=3, batch=4, seed=5)

    def by_sample(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return ((x.t(), y.t()) for x, y in windows.epoch(epoch))

    mix = MixIterator([by_sample], len(windows), [1])
    for epoch in range(3):
        x, _ = next(mix)
        assert torch.equal(x, torch.cat([part for part, _ in by_sample(epoch)]))


def test_an_epoch_reads_each_source_of_known_length_once() -> None:
    assert len(MixIterator([numbered(10), numbered(100)], 10, [0.75, 0.25])) == 40
    assert len(MixIterator([batches(10, 3), endless()], 10, [0.5, 0.5])) == 2


def test_a_loop_yields_the_rest_of_the_epoch() -> None:
    mix = MixIterator([numbered(10), numbered(3)], 4, [0.5, 0.5])
    assert len(list(mix)) == len(mix) == 5
    next(mix)
    assert len(list(mix)) == 4
    assert mix.position["batches"] == 10


def test_without_known_lengths_a_mix_has_no_length_and_does_not_end() -> None:
    mix = MixIterator([endless()], 4, [1])
    with pytest.raises(InputError, match="length of this mix is unknown"):
        len(mix)
    assert len(list(islice(mix, 100))) == 100


def test_nested_tuples_keep_their_form() -> None:
    examples = Examples(lambda i: ((torch.tensor([i]), (torch.zeros(2, 3), i)), float(i)))
    (first, (second, third)), last = next(MixIterator([examples, examples], 4, [0.5, 0.5]))
    assert [list(part.shape) for part in (first, second, third, last)] == [[4, 1], [4, 2, 3], [4], [4]]


MISFITS: dict[str, tuple[Any, str]] = {
    "shape": (TensorDataset(torch.zeros(4, 2), torch.zeros(4).long()), r"float32\[2\], int64\[\]"),
    "type": (TensorDataset(torch.zeros(4, 1), torch.zeros(4)), r"float32\[1\], float32\[\]"),
    "form": (Examples(lambda _: torch.zeros(1)), r"float32\[1\]$"),
    "batches": ([(torch.zeros(4, 1), torch.zeros(4, 2).long())], r"float32\[1\], int64\[2\]"),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_a_source_with_other_samples_is_named(kind: str) -> None:
    source, found = MISFITS[kind]
    mix = MixIterator({"labelled": numbered(4), "other": source}, 4, [0.5, 0.5])
    with pytest.raises(InputError, match=f"from source 'other', as from source 'labelled', got .*{found}"):
        next(mix)


def test_a_source_whose_samples_change_is_named() -> None:
    later = [(torch.zeros(3, 1), torch.zeros(3).long()), (torch.zeros(3, 2), torch.zeros(3).long())]
    mix = MixIterator([later], 3, [1])
    next(mix)
    with pytest.raises(InputError, match=r"examples of .*\[1\].* from source 0, as before, got .*\[2\]"):
        next(mix)


WRONG: dict[str, tuple[Any, str]] = {
    "tensors": ((torch.zeros(3), torch.zeros(3)), "expected source 0 to be a torch Dataset .*got tuple"),
    "tensor": (torch.zeros(3), "expected source 0 to be a torch Dataset .*got Tensor"),
    "empty data set": (numbered(0), "at least one example in source 0"),
    "empty list": ([], "at least one example in source 0"),
    "empty batches": ([(torch.zeros(0, 1), torch.zeros(0))], "at least one example in source 0"),
    "words": (Examples(lambda _: "word"), "expected tensors or tuples of tensors from source 0, got str"),
    "no examples": ([torch.tensor(1.0)], "same number of examples in a batch of source 0"),
    "unequal": (
        [(torch.zeros(3), torch.zeros(4))],
        "same number of examples in a batch of source 0",
    ),
    "ragged": (Examples(lambda i: torch.zeros(i + 1)), "all examples of source 0 to have one form"),
    "read once": (iter(batches(4, 2)), "source 0 is a list_iterator, which can be read only once"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_source_is_named(kind: str) -> None:
    source, message = WRONG[kind]
    with pytest.raises(InputError, match=message):
        labels(MixIterator([source], 4, [1]), 3)


@pytest.mark.parametrize("shares", [[0.5], [0.5, 0.0], [0.5, -1], [0.5, float("nan")], [0.5, 1e-9]], ids=str)
def test_wrong_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(InputError, match=r"expected .*shares"):
        MixIterator([numbered(3), numbered(3)], 4, shares)


def test_a_mix_without_sources_or_with_an_empty_batch_is_refused() -> None:
    for sources, size in (([], 4), ([numbered(3)], 0)):
        with pytest.raises(InputError, match="expected 1 source or more and a batch size"):
            MixIterator(sources, size, [1] * len(sources))


@pytest.mark.parametrize("offset", [13, 1000])
def test_a_position_beyond_the_end_of_a_stream_is_refused(offset: int) -> None:
    batches = [(torch.zeros(6, 1), torch.zeros(6).long())] * 2
    mix = MixIterator([batches], 4, [1])
    position = mix.position
    position["sources"][0]["offset"] = offset
    with pytest.raises(InputError, match="source 0"):
        mix.move(position)


def test_a_position_of_another_mix_is_refused() -> None:
    mix = MixIterator([numbered(3)], 4, [1])
    other = MixIterator([numbered(3), numbered(4)], 4, [0.5, 0.5])
    longer = MixIterator([numbered(9)], 4, [1])
    larger = MixIterator([numbered(3)], 8, [1])
    for one in (other, longer, larger):
        next(one)
        with pytest.raises(InputError, match=r"source|batches of 4"):
            mix.move(one.position)
