"""Mixed batches: each batch takes a fixed share of its examples from each source.

This is useful to mix a labelled set with a larger pseudo-labelled one, or real sentences with generated
ones. The shares do not depend on the sizes of the sources. A source that ends is restarted; the others
continue.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from onward.classify.batches import ExampleSource, Reader, reader_of
from onward.classify.nested import Nested, form_of, join
from onward.errors import InputError

_ANOTHER = "use a position of a MixIterator with the same sources, shares and batch size"
FINEST_SHARE = 10**-6
"""The smallest share that a source may have of the whole."""

SEEDS_APART = 2**16
"""The seed of source i is the seed of the mix times this number, plus i. The number is larger than the number
of sources, so no two sources have the same seed, even in mixes with different seeds."""


class MixIterator:
    """An endless sequence of mixed batches, with a position that can be saved.

    An example is a tensor or a nested tuple of tensors, usually (x, y). A batch has the same form, with the
    examples along the first axis of each tensor, in the order of the sources.

    `for batch in mix` yields the rest of the current epoch, `len(mix)` batches from its start. It never ends
    if no source has a known length. `next(mix)` always returns a batch.

    Args:
        sources: a sequence of sources, or a mapping from names to sources. A source is one of
            a torch `Dataset` with a length: its examples, shuffled each epoch independently of other sources;
            a torch `IterableDataset`: its examples, in their order;
            an iterable of batches of any sizes, in their order: a list, a `DataLoader`, a generator;
            a function from the epoch (0, 1, ...) to its batches, such as `Windows.epoch`.
        batch_size: B, examples in a batch.
        shares: relative shares of the sources. A batch takes B times the share of a source from this source,
            rounded down or up, and rounding errors are carried over. After n batches, each of up to three
            sources has given n * B times its share, with an error below one example. With more sources the
            error may reach two examples for a moment.
        seed: seed of the shuffling.
        shuffle: False reads data sets in their order.

    Raises:
        InputError: there is no source, or a source of a wrong kind; or the batch size or a share is not
            positive. While reading: a source is empty or cannot be restarted, or its examples differ from
            those of the first source in structure, shape, type or device.
    """

    def __init__(
        self,
        sources: Sequence[ExampleSource] | Mapping[str, ExampleSource],
        batch_size: int,
        shares: Sequence[float | int],
        *,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        named: Mapping[Any, ExampleSource] = (
            sources if isinstance(sources, Mapping) else dict(enumerate(sources))
        )
        if not named or batch_size < 1:
            raise InputError(
                f"expected 1 source or more and a batch size of 1 or more, got {len(named)} and {batch_size}"
            )
        self.batch_size = batch_size
        self._weights = _whole_weights(shares, len(named))
        self._readers: list[Reader] = [
            reader_of(f"source {name!r}", source, seed * SEEDS_APART + number if shuffle else None)
            for number, (name, source) in enumerate(named.items())
        ]
        self._given = [0] * len(named)
        self._batches = 0
        self._forms: dict[str, str] = {}

    def __len__(self) -> int:
        """Returns the number of batches in an epoch, which reads each source of known length at least once.

        Raises:
            InputError: no source has a known length.
        """
        if self._epoch_length is None:
            raise InputError(
                "the length of this mix is unknown, because the length of each source is unknown",
                hint="call next(mix) for as many batches as you need",
            )
        return self._epoch_length

    @property
    def _epoch_length(self) -> int | None:
        total = sum(self._weights)
        lengths = [
            -(-reader.size * total // (weight * self.batch_size))
            for reader, weight in zip(self._readers, self._weights, strict=True)
            if reader.size is not None
        ]
        return max(lengths, default=None)

    def __iter__(self) -> Iterator[Nested]:
        length = self._epoch_length
        yield next(self)
        while length is None or self._batches % length:
            yield next(self)

    def __next__(self) -> Nested:
        counts = self._counts()
        parts = [
            self._checked(reader.name, part)
            for reader, count in zip(self._readers, counts, strict=True)
            for part in reader.take(count)
        ]
        self._given = [before + count for before, count in zip(self._given, counts, strict=True)]
        self._batches += 1
        return join(parts)

    def reset(self) -> None:
        """Restarts the mix from its first batch.

        Raises:
            InputError: a source cannot be restarted.
        """
        begin = [{"epoch": 0, "offset": 0} for _ in self._readers]
        self.move({"batches": 0, "given": [0] * len(begin), "sources": begin})

    @property
    def position(self) -> dict[str, Any]:
        """The position as plain values: the number of batches, and the examples and place of each source."""
        return {
            "batches": self._batches,
            "given": list(self._given),
            "sources": [{"epoch": reader.epoch, "offset": reader.offset} for reader in self._readers],
        }

    def move(self, position: Mapping[str, Any]) -> None:
        """Moves to a `position` of a `MixIterator` with the same sources, shares and seed.

        A source of batches is read again up to its position, and must yield the same batches as before.

        Raises:
            InputError: the position belongs to other sources, or a source cannot be restarted.
        """
        given, places = position["given"], position["sources"]
        if not len(given) == len(places) == len(self._readers):
            raise InputError(
                f"expected a position with {len(self._readers)} sources, got {len(places)}", hint=_ANOTHER
            )
        if sum(given) != position["batches"] * self.batch_size:
            raise InputError(
                f"expected a position after batches of {self.batch_size} examples, got {position}",
                hint=_ANOTHER,
            )
        for reader, place in zip(self._readers, places, strict=True):
            if (reader.epoch, reader.offset) != (place["epoch"], place["offset"]):
                reader.move(place["epoch"], place["offset"])
        self._batches, self._given = position["batches"], list(given)

    def _counts(self) -> list[int]:
        """Returns the number of examples to take from each source for the next batch.

        Each source gives its share, rounded down. The missing examples are taken from sources that are not
        ahead of their share, starting with the source that would fall behind first (earliest pseudo-deadline
        first: Srinivasan and Anderson 2005).
        """
        total, after = sum(self._weights), self._batches + 1
        whole, parts = zip(
            *(divmod(self.batch_size * weight, total) for weight in self._weights), strict=True
        )

        def priority(number: int) -> tuple[bool, int, bool]:
            extra = self._given[number] - self._batches * whole[number]
            due, remainder = divmod((extra + 1) * total, parts[number])
            return extra * total >= after * parts[number], due + (remainder > 0), remainder == 0

        ordered = sorted((number for number, part in enumerate(parts) if part), key=priority)
        chosen = set(ordered[: self.batch_size - sum(whole)])
        return [count + (number in chosen) for number, count in enumerate(whole)]

    def _checked(self, name: str, part: Nested) -> Nested:
        """Returns the part; raises InputError if its examples do not have the structure of the first ones."""
        first, expected = next(iter(self._forms.items()), (name, form_of(part)))
        self._forms.setdefault(first, expected)
        if (found := form_of(part)) != expected:
            earlier = "as before" if first == name else f"as from {first}"
            raise InputError(
                f"expected examples of {expected} from {name}, {earlier}, got {found}",
                hint="mixed examples must have the same form, shape, type and device",
            )
        return part


def _whole_weights(shares: Sequence[float | int], sources: int) -> list[int]:
    """Returns whole numbers in the same proportions as the shares.

    Raises:
        InputError: the numbers of shares and sources differ, or a share is not positive.
    """
    if len(shares) != sources or not all(math.isfinite(share) and share > 0 for share in shares):
        raise InputError(
            f"expected {sources} positive shares, one for each source, got {list(shares)}",
            hint="leave out sources with a share of 0",
        )
    total = sum(Fraction(share) for share in shares)
    fractions = [(Fraction(share) / total).limit_denominator(round(1 / FINEST_SHARE)) for share in shares]
    if not all(fractions):
        raise InputError(f"expected shares of at least {FINEST_SHARE:g} of the whole, got {list(shares)}")
    common = math.lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * common) for fraction in fractions]
