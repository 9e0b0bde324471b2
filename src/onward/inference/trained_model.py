"""A trained model as its user has it: one object that writes, scores and listens."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch

from onward.artefact import FORMAT, Artefact, digest_of, load, save, weights_of
from onward.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from onward.inference.adapt import Adapting
from onward.inference.completion.options import CompleteOptions, Completions
from onward.inference.generate import Writer, Writing
from onward.inference.novelty.novelty import MINIMUM, Novelty, Sources, novelty
from onward.inference.scoring.html_report import write_page
from onward.inference.scoring.protocol import Protocol
from onward.inference.scoring.score import (
    LineScore,
    Progress,
    Score,
    SymbolScore,
    score,
    score_lines,
    score_symbols,
)
from onward.inference.session import REACH, Session
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import Sampling
from onward.inference.text_source import Readable, Source
from onward.model import LanguageModel


class WriteOptions(TypedDict, total=False):
    """What can be said of writing.

    `temperature`, `top_k`, `top_p` and `min_p` are those of `Sampling`, the others those of `Writing`; one
    stop string may stand by itself, and `ignore_end` is None where the model decides: one trained on a
    single text never saw an end.
    """

    length: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    seed: int
    stop: str | tuple[str, ...] | list[str]
    ignore_end: bool | None
    weights: WeightType


class TrainedModel:
    """What `onward.load` returns.

    Args:
        artefact: the model, its vocabulary, and where they come from.
        path: the file it was read from, if any.

    Attributes:
        artefact, path: as given.
    """

    def __init__(self, artefact: Artefact, path: str | os.PathLike[str] | None = None) -> None:
        self.artefact = artefact
        self.path = None if path is None else Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> "TrainedModel":
        """The model of a file.

        Raises:
            ArtefactError: it is missing, damaged, not one of ours, or of a later version.
        """
        return cls(load(path, device=device), path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all.

        Raises:
            WriteError: the disk refused.
        """
        save(self.artefact, path)

    @property
    def model(self) -> LanguageModel:
        """The network, in evaluation mode."""
        return self.artefact.model

    @property
    def vocabulary(self) -> Vocabulary:
        """What its ids mean."""
        return self.artefact.vocabulary

    def write(self, prime: Readable = "", **options: Unpack[WriteOptions]) -> str:
        """What the model writes after the prime, without the prime.

        Args:
            prime: what it reads first.
            options: see `WriteOptions`.

        Raises:
            InputError: an option that cannot have that value.
        """
        return "".join(self.stream(prime, **options))

    def stream(self, prime: Readable = "", **options: Unpack[WriteOptions]) -> Iterator[str]:
        """The same text as `write`, piece by piece as it is written."""
        return (piece for (piece,) in self.writer(prime, **options))

    def writer(self, prime: Readable = "", samples: int = 1, **options: Unpack[WriteOptions]) -> Writer:
        """Several samples side by side, piece by piece; also how many symbols each has, and why it ended."""
        kept: dict[str, Any] = dict(options)
        if kept.get("ignore_end") is None:
            kept["ignore_end"] = not self.has_ends
        drawing = {
            name: kept.pop(name) for name in ("temperature", "top_k", "top_p", "min_p") if name in kept
        }
        stop = kept.pop("stop", ())
        stop = (stop,) if isinstance(stop, str) else tuple(stop)
        writing = Writing(sampling=Sampling(**drawing), stop=stop, **kept)
        return Writer(self.model, self.vocabulary, prime, writing, samples)

    @property
    def has_ends(self) -> bool:
        """Whether training saw texts end; of an artefact older than that fact it is assumed.

        Where there are no symbols but the special ones, END is all that could be written.
        """
        seen = self.artefact.facts.get("corpus", {}).get("ends", 1)
        return bool(seen) or len(self.vocabulary) == len(SPECIAL)

    def samples(self, prime: Readable = "", count: int = 1, **options: Unpack[WriteOptions]) -> list[str]:
        """Several texts after one prime, written side by side. The first is the one that `write` gives."""
        texts = [""] * count
        for gained in self.writer(prime, count, **options):
            texts = [text + piece for text, piece in zip(texts, gained, strict=True)]
        return texts

    def unknown_symbols(self, text: str) -> int:
        """How many symbols of a text the vocabulary does not have."""
        return int((self.vocabulary.encode(text) == UNKNOWN).sum())

    def complete(self, prime: str | bytes = "", **options: Unpack[CompleteOptions]) -> Completions:
        """The likeliest continuations of a text up to the end of a word, of a line, or by some symbols.

        Args:
            prime: what the model reads first. A word it has begun is continued: after "phil" comes "osophy".
            options: see `CompleteOptions`.

        Raises:
            InputError: an option that cannot have that value.
        """
        return self.session(reach=4).complete(prime, **options)

    def session(self, *, reach: int = REACH, weights: WeightType = "fp32") -> Session:
        """A stream of its own that is fed symbol by symbol; see `Session` for the arguments."""
        return Session(self.model, self.vocabulary, reach=reach, weights=weights)

    def score(
        self,
        source: Source,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        adapt: Adapting | None = None,
        progress: Progress | None = None,
    ) -> Score:
        """How surprising a text is to the model, in constant memory.

        Args:
            source: a text (`str` or `bytes`), its ids, a file as a `Path`, or a `Corpus`.
            cold: score windows of this many symbols, each from the initial state; None reads in one pass.
            lanes: segments read side by side, in float32; 1 is exact. None reads a long text in many, in the
                quickest precision, which changes its score by less than 0.1 %.
            adapt: how the model learns from what was scored, in one pass; the model itself is left as it is.
            progress: is told of the symbols scored so far and of all.

        Raises:
            CorpusError: there is no text in the source, or it cannot be read.
            InputError: a window or a number of lanes below 1.
        """
        return score(
            self.model, self.vocabulary, source, Protocol(cold=cold, lanes=lanes, adapt=adapt), progress
        )

    def score_lines(
        self,
        source: Source,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        adapt: Adapting | None = None,
    ) -> Iterator[LineScore]:
        """The score of each line, in order, as they are computed. Arguments and errors as for `score`."""
        return score_lines(self.model, self.vocabulary, source, Protocol(cold=cold, lanes=lanes, adapt=adapt))

    def score_symbols(
        self,
        source: Source,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        adapt: Adapting | None = None,
    ) -> Iterator[SymbolScore]:
        """The score of each symbol, in order, as they are computed. Arguments and errors as for `score`."""
        return score_symbols(
            self.model, self.vocabulary, source, Protocol(cold=cold, lanes=lanes, adapt=adapt)
        )

    def write_page(self, source: Source, path: str | os.PathLike[str], *, title: str = "") -> Score:
        """Writes a page that colours each symbol by its surprise, read in one pass, and returns the score.

        Raises:
            CorpusError: there is no text in the source, or it cannot be read.
            InputError: more symbols than a browser could show.
            WriteError: the disk refused.
        """
        return write_page(self.model, self.vocabulary, source, path, title=title)

    def novelty(
        self, text: str | bytes | Path, corpus: Sources, *, minimum: int = MINIMUM, longest: int = 10
    ) -> Novelty:
        """What of a text stands word for word in a corpus, in symbols of the model's kind (see `novelty`)."""
        kind, lower = self.vocabulary.kind, self.vocabulary.lower
        return novelty(text, corpus, kind=kind, lower=lower, minimum=minimum, longest=longest)

    def info(self) -> dict[str, Any]:
        """Everything there is to know of the model, as plain values."""
        config, vocabulary = self.artefact.model.config, self.vocabulary
        return {
            "file": self._file(),
            "format": FORMAT,
            "architecture": config.to_json(),
            "parameters": self.model.parameter_count(),
            "weights": {"sha256": digest_of(weights_of(self.model))},
            "vocabulary": {
                "kind": vocabulary.kind,
                "lower": vocabulary.lower,
                "size": len(vocabulary),
                "symbols": [vocabulary.symbol(i) for i in range(len(vocabulary))],
                "sha256": vocabulary.digest,
            },
            "recipe": self.artefact.recipe,
            "facts": self.artefact.facts,
        }

    def _file(self) -> dict[str, Any] | None:
        """Path, size in bytes and hash of the file the model was read from."""
        if self.path is None:
            return None
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"path": str(self.path), "bytes": file.tell(), "sha256": digest}
