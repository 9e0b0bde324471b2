"""Writing: a model reads a prime, and then each symbol that is drawn from its own predictions."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, END, Vocabulary
from onward.errors import InputError
from onward.inference.prediction import initial_state, predict
from onward.inference.step.decode import Decoder
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import Sampling, never_drawn, random_stream
from onward.inference.step.stepper import Stepper
from onward.inference.text_source import TextOrIds, ids_of
from onward.layers.state import select_lanes
from onward.model import LanguageModel, block_length

Ending = Literal["length", "stop", "end"]
"""Why a sample ended: it reached its length, a stop string was written, or END was drawn."""

_BLOCK = 1024  # number of random numbers to draw at once


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """What to write.

    Attributes:
        length: maximum number of symbols.
        sampling: how symbols are drawn.
        seed: each sample has its own random stream, which depends on the seed and the number of the sample.
            So sample i is the same, up to rounding, however many samples are written.
        stop: strings that end a sample. They are searched for in the new text, not in the prime.
        ignore_end: whether END is never drawn, so that samples do not end by themselves.
        weights: precision of the weights. bf16 and int8 are faster than fp32 and nearly as exact.

    Raises:
        InputError: the length or the seed is negative, or a stop string is empty.
    """

    length: int = 400
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: tuple[str, ...] = ()
    ignore_end: bool = False
    weights: WeightType = "fp32"

    def __post_init__(self) -> None:
        for name in ("length", "seed"):
            if getattr(self, name) < 0:
                raise InputError(f"expected a {name} of 0 or more, got {getattr(self, name)}")
        if "" in self.stop:
            raise InputError("expected stop strings with at least one character, got an empty one")


class Writer:
    """Writes samples in one batch while it is iterated, in constant memory.

    A writer can be iterated only once. Each item is a list with the new text of each sample. NULL, UNKNOWN
    and BEGIN are never drawn. Stop strings are not part of the text: characters that may become one are held
    back.

    Args:
        model: the model; it is set to evaluation mode.
        vocabulary: vocabulary of the model.
        prime: text that the model reads first. It is not part of the samples.
        options: what to write.
        samples: number of samples.

    Raises:
        InputError: `samples` is below 1, or the vocabulary has no symbol that may be drawn.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        prime: TextOrIds,
        options: WriteOptions,
        samples: int = 1,
    ) -> None:
        if samples < 1:
            raise InputError(f"expected 1 sample or more, got {samples}")
        never = never_drawn(ends=not options.ignore_end)
        if len(vocabulary) <= never:
            raise InputError("expected a vocabulary with symbols to write, got only special symbols")
        self._model = model.eval()
        self._vocabulary = vocabulary
        self._prime = ids_of(prime, vocabulary)
        self._options = options
        self._never = never
        self._samples = [Sample(vocabulary, options.stop) for _ in range(samples)]

    @property
    def symbols(self) -> list[int]:
        """Number of symbols of each sample so far, without END and stop strings."""
        return [sample.symbols for sample in self._samples]

    @property
    def endings(self) -> list[Ending | None]:
        """Why each sample ended; None if it has not ended."""
        return [sample.ending for sample in self._samples]

    def __iter__(self) -> Iterator[list[str]]:
        options, samples = self._options, self._samples
        decoder = self._primed_decoder()
        going = [*range(len(samples))]  # the sample of each lane
        for uniforms in islice(_uniform_numbers(options.seed, len(samples)), options.length):
            of_lanes = uniforms if len(going) == len(samples) else uniforms[going]
            drawn = decoder.draw(of_lanes, options.sampling)
            gained = [""] * len(samples)
            for i, symbol in zip(going, drawn.tolist(), strict=True):
                gained[i] = samples[i].feed([symbol])
            if any(gained):
                yield gained
            lanes = [lane for lane, i in enumerate(going) if samples[i].ending is None]
            if not lanes:
                return
            if len(lanes) < len(going):
                going = [going[lane] for lane in lanes]
                decoder.select(np.array(lanes))
        rests = [sample.end("length") for sample in samples]
        if any(rests):
            yield rests

    def _primed_decoder(self) -> Decoder:
        """Returns a decoder with one lane for each sample, after BEGIN and the prime."""
        ids = torch.from_numpy(np.concatenate([[BEGIN], self._prime]).astype(np.int64))[:, None]  # (T, 1)
        logits, state = torch.empty(0), initial_state(self._model, 1)
        for block in ids.split(block_length(1, len(self._vocabulary))):
            logits, state = predict(self._model, block, state)
        same = torch.zeros(len(self._samples), dtype=torch.int64)
        state = select_lanes(state, same)
        decoder = Decoder(Stepper(self._model, state, self._options.weights), self._never)
        decoder.add(logits[-1, same].cpu().numpy(), state)
        return decoder


class Sample:
    """The text of one sample. It holds back characters that may become a stop string.

    Args:
        vocabulary: vocabulary of the model.
        stop: strings that end the text.

    Attributes:
        symbols: number of symbols so far, without END and stop strings.
        ending: why the sample ended; None if it has not ended.
    """

    def __init__(self, vocabulary: Vocabulary, stop: tuple[str, ...]) -> None:
        self.symbols = 0
        self.ending: Ending | None = None
        self._vocabulary = vocabulary
        self._decoder = vocabulary.decoder()
        self._stop = stop
        self._held = ""

    @property
    def is_holding(self) -> bool:
        """Whether characters are held back."""
        return bool(self._held)

    def feed(self, symbols: list[int]) -> str:
        """Adds symbols, and returns the text that can be released. Symbols after the end are ignored."""
        if not self._stop and END not in symbols:
            self.symbols += len(symbols)
            return self._decoder.feed(symbols)
        text = ""
        for symbol in symbols:
            if not self.ending:
                text += self._fed(symbol)
        return text

    def _fed(self, symbol: int) -> str:
        if symbol == END:
            return self.end("end")
        self.symbols += 1
        return self._released(self._decoder.feed([symbol]))

    def end(self, ending: Ending) -> str:
        """Ends the sample, if it has not ended, and returns the characters that were held back."""
        if self.ending:
            return ""
        text = self._released(self._decoder.finish())
        if self.ending:  # the last characters completed a stop string
            return text
        self.ending, rest, self._held = ending, self._held, ""
        return text + rest

    def _released(self, text: str) -> str:
        """Appends a text to the held characters, and returns the part that cannot become a stop string."""
        if not self._stop:
            return text
        held = self._held + text
        found = [at for at in (held.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.ending, self._held = "stop", ""
            self.symbols -= len(self._vocabulary.encode(held[min(found) :]))
            return held[: min(found)]
        longest = min(len(held), max(map(len, self._stop)) - 1)
        back = next((n for n in range(longest, 0, -1) if self._may_begin_stop(held[-n:])), 0)
        self._held = held[len(held) - back :]
        return held[: len(held) - back]

    def _may_begin_stop(self, text: str) -> bool:
        return any(stop.startswith(text) for stop in self._stop)


def _uniform_numbers(seed: int, samples: int) -> Iterator[np.ndarray]:
    """Yields the random numbers of `uniform_numbers` for all samples, (B,) for each step."""
    streams = [random_stream(seed, i) for i in range(samples)]
    while True:
        yield from np.stack([stream.random(_BLOCK) for stream in streams], axis=1)
