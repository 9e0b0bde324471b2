"""Writing: what a model draws is what it reads next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, END, Vocabulary
from onward.errors import InputError
from onward.inference.prediction import initial_state, predict
from onward.inference.step.decode import Decoder, uniform_numbers
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import Sampling, never_drawn
from onward.inference.step.stepper import Stepper
from onward.inference.text_source import Readable, ids_of
from onward.layers.state import select_lanes
from onward.model import LanguageModel, block_length

Ending = Literal["length", "stop", "end"]
"""Why a sample ended: it has its length, a stop string came, or the model drew END."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What to write.

    Attributes:
        length: symbols, at most.
        sampling: how each is drawn.
        seed: sample i of a seed draws from its own random stream, so it is the same (to rounding of the
            model) whatever the number of samples.
        stop: strings before which a sample ends. They are looked for in what is written, not in the prime.
        ignore_end: END is not drawn, so that a sample never ends by itself.
        weights: how a step reads the model's matrices; bf16 and int8 take less time, and are nearly as exact.

    Raises:
        InputError: a negative length or seed, or an empty stop string.
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
    """Writes one or more samples side by side, in constant memory, while it is iterated.

    An iteration, of which there is one, gives again and again what each sample gained, one text a sample.
    NULL, UNKNOWN and BEGIN are never drawn. A stop string is never part of what is given, nor is a part of
    one while the next symbols may complete it.

    Args:
        model: is used in evaluation mode.
        vocabulary: what its ids mean.
        prime: what the model reads first; it is not part of what is given.
        writing: what to write.
        samples: how many.

    Raises:
        InputError: no samples, or nothing that could be drawn.
    """

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        prime: Readable,
        writing: Writing,
        samples: int = 1,
    ) -> None:
        if samples < 1:
            raise InputError(f"expected 1 sample or more, got {samples}")
        never = never_drawn(ends=not writing.ignore_end)
        if len(vocabulary) <= never:
            raise InputError("the model's vocabulary has no symbol that could be written")
        self._model = model.eval()
        self._vocabulary = vocabulary
        self._prime = ids_of(prime, vocabulary)
        self._writing = writing
        self._never = never
        self._samples = [Sample(vocabulary, writing.stop) for _ in range(samples)]

    @property
    def symbols(self) -> list[int]:
        """Symbols that each sample has so far, without END and without those of a stop string."""
        return [sample.symbols for sample in self._samples]

    @property
    def endings(self) -> list[Ending | None]:
        """Why each sample ended; None while it goes on."""
        return [sample.ending for sample in self._samples]

    def __iter__(self) -> Iterator[list[str]]:
        writing, samples = self._writing, self._samples
        decoder = self._primed_decoder()
        uniforms = [uniform_numbers(writing.seed, i) for i in range(len(samples))]
        going = [*range(len(samples))]  # the sample of each lane
        for _ in range(writing.length):
            drawn = decoder.draw(np.array([next(uniforms[i]) for i in going]), writing.sampling)
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
        """One lane for each sample, all of them after BEGIN and the prime."""
        ids = torch.from_numpy(np.concatenate([[BEGIN], self._prime]).astype(np.int64))[:, None]  # (T, 1)
        logits, state = torch.empty(0), initial_state(self._model, 1)
        for block in ids.split(block_length(1, len(self._vocabulary))):
            logits, state = predict(self._model, block, state)
        same = torch.zeros(len(self._samples), dtype=torch.int64)
        state = select_lanes(state, same)
        decoder = Decoder(Stepper(self._model, state, self._writing.weights), self._never)
        decoder.add(logits[-1, same].cpu().numpy(), state)
        return decoder


class Sample:
    """The text of one sample: what may be given, and what may yet become a stop string.

    Args:
        vocabulary: what ids mean.
        stop: strings before which the text ends.

    Attributes:
        symbols: that it has, without END and without those of a stop string.
        ending: why it ended, None while it goes on.
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
        """Whether characters are held back that may become a stop string."""
        return bool(self._held)

    def feed(self, symbols: list[int]) -> str:
        """The text that may be given after more symbols; what follows its end is not read."""
        if not self._stop and END not in symbols:
            self.symbols += len(symbols)
            return self._decoder.feed(symbols)
        text = ""
        for symbol in symbols:
            if not self.ending:
                text += self._fed(symbol)
        return text

    def _fed(self, symbol: int) -> str:
        """The text that may be given after one more symbol."""
        if symbol == END:
            return self.end("end")
        self.symbols += 1
        return self._released(self._decoder.feed([symbol]))

    def end(self, ending: Ending) -> str:
        """What was held back, since nothing follows; the empty text if the sample has ended before."""
        if self.ending:
            return ""
        text = self._released(self._decoder.finish())
        if self.ending:  # the last characters made a stop string
            return text
        self.ending, rest, self._held = ending, self._held, ""
        return text + rest

    def _released(self, text: str) -> str:
        """The part of what is held back, and of the text that follows it, that may be given now."""
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
