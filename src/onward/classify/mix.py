"""Batches drawn from several sources at once, each with its own share.

A labelled set and a far larger one whose labels a model made up, real sentences and generated ones: each
batch holds so much of the one and so much of the other, whatever their sizes. A source that runs out begins
anew, by itself, while the others go on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from onward.classify.batches import Reader, Source, reader_of
from onward.classify.nested import Nested, form_of, join
from onward.errors import InputError

_ANOTHER = "go to a position of a mix of the same sources, shares and size of batches"
FINEST_SHARE = 10**-6

SEEDS_APART = 2**16
"""More than there are sources: no two of them, nor of mixes with other seeds, are shuffled alike."""


class MixIterator:
    """An endless sequence of mixed batches, with a position that can be saved.

    A sample is a tensor or a nested tuple of them, (x, y) as a rule; a batch has the same form, with the
    samples along the leading axis of each tensor, those of the first source first.

    `for batch in mix` gives what remains of the present epoch, `len(mix)` batches from its start; where no
    source has a known length, it never ends. `next(mix)` gives one batch, and there always is one.

    Args:
        sources: in order, or by name. Each is one of
            a torch `Dataset` with a length: samples, shuffled anew each epoch, apart from the other sources;
            a torch `IterableDataset`: samples, as they come;
            an iterable of batches of any sizes, as they come: a list, a `DataLoader`, an endless generator;
            a function that is given the epoch, 0 at first, and returns its batches, as `Windows.epoch` does.
        batch_size: B, samples in a batch.
        shares: of the sources in the batches, in proportion to each other. A batch holds B times its share
            of each source, rounded down or up. The rounding is carried: among up to three sources, after n
            batches each has given n * B times its share to less than one sample, and exactly that where it
            is a whole number; more sources may for a moment be two samples off.
        seed: of the shuffling.
        shuffle: False reads data sets in their order.

    Raises:
        InputError: no source or one of a wrong kind, a batch size or share that is not positive. While it is
            read: a source that is empty, that cannot be started again, or whose samples differ in form,
            shape, type or device from those of the first; the message names it.
    """

    def __init__(
        self,
        sources: Sequence[Source] | Mapping[str, Source],
        batch_size: int,
        shares: Sequence[float | int],
        *,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        named: Mapping[Any, Source] = sources if isinstance(sources, Mapping) else dict(enumerate(sources))
        if not named or batch_size < 1:
            raise InputError(
                f"expected 1 source or more and batches of 1 or more, got {len(named)}, {batch_size}"
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
        """Batches in an epoch: until each source of known length was read through at least once.

        Raises:
            InputError: no source has one.
        """
        if self._epoch_length is None:
            raise InputError(
                "no source of this mix says how many samples it has, so an epoch has no length",
                hint="take as many batches of next(mix) as you need",
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
        """Begins anew, as at first.

        Raises:
            InputError: a source cannot be started again.
        """
        begin = [{"epoch": 0, "offset": 0} for _ in self._readers]
        self.move({"batches": 0, "given": [0] * len(begin), "sources": begin})

    @property
    def position(self) -> dict[str, Any]:
        """Where it stands, as plain values: batches and samples given, and the place in each source."""
        return {
            "batches": self._batches,
            "given": list(self._given),
            "sources": [{"epoch": reader.epoch, "offset": reader.offset} for reader in self._readers],
        }

    def move(self, position: Mapping[str, Any]) -> None:
        """Goes to a `position` of a mix of the same sources, shares and seed, to give what came after it.

        A source of batches is read up to its place again, and has to give the same batches again.

        Raises:
            InputError: a position of another mix, or a source that cannot be started again.
        """
        given, places = position["given"], position["sources"]
        if not len(given) == len(places) == len(self._readers):
            raise InputError(
                f"expected the places of {len(self._readers)} sources, got {len(places)}", hint=_ANOTHER
            )
        if sum(given) != position["batches"] * self.batch_size:
            raise InputError(
                f"expected a position after batches of {self.batch_size}, got {position}", hint=_ANOTHER
            )
        for reader, place in zip(self._readers, places, strict=True):
            if (reader.epoch, reader.offset) != (place["epoch"], place["offset"]):
                reader.move(place["epoch"], place["offset"])
        self._batches, self._given = position["batches"], list(given)

    def _counts(self) -> list[int]:
        """How many samples each source gives to the next batch.

        The whole samples of its share, and one of those that rounding leaves to the sources whose turn it is:
        those that are not ahead of their share, and among them first those that would be behind it soonest.
        (The earliest pseudo-deadline first: Srinivasan and Anderson 2005.)
        """
        total, after = sum(self._weights), self._batches + 1
        whole, parts = zip(
            *(divmod(self.batch_size * weight, total) for weight in self._weights), strict=True
        )

        def turn(number: int) -> tuple[bool, int, bool]:
            extra = self._given[number] - self._batches * whole[number]
            due, remainder = divmod((extra + 1) * total, parts[number])
            return extra * total >= after * parts[number], due + (remainder > 0), remainder == 0

        ordered = sorted((number for number, part in enumerate(parts) if part), key=turn)
        chosen = set(ordered[: self.batch_size - sum(whole)])
        return [count + (number in chosen) for number, count in enumerate(whole)]

    def _checked(self, name: str, part: Nested) -> Nested:
        """The part, if its samples are like those of the source that was read first."""
        first, expected = next(iter(self._forms.items()), (name, form_of(part)))
        self._forms.setdefault(first, expected)
        if (found := form_of(part)) != expected:
            before = "before that" if first == name else f"but {first} gives"
            raise InputError(
                f"{name} gives samples of {found}, {before} {expected}",
                hint="samples that are mixed must agree in form, shape, type and device",
            )
        return part


def _whole_weights(shares: Sequence[float | int], sources: int) -> list[int]:
    """Whole numbers that stand to each other as the shares do.

    Raises:
        InputError: not one share for each source, or one that is not positive.
    """
    if len(shares) != sources or not all(math.isfinite(share) and share > 0 for share in shares):
        raise InputError(
            f"expected {sources} positive shares, one for each source, got {list(shares)}",
            hint="leave out a source that shall give nothing",
        )
    total = sum(Fraction(share) for share in shares)
    fractions = [(Fraction(share) / total).limit_denominator(round(1 / FINEST_SHARE)) for share in shares]
    if not all(fractions):
        raise InputError(f"expected shares of at least {FINEST_SHARE:g} of the whole, got {list(shares)}")
    common = math.lcm(*(fraction.denominator for fraction in fractions))
    return [int(fraction * common) for fraction in fractions]
