"""A trained model: writes, completes and scores texts, and opens sessions."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, Unpack, get_args

import numpy as np
import torch

from onward.artefact import FORMAT, Artefact, digest_of, load, save, weights_of
from onward.bases import find_model
from onward.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary
from onward.errors import InputError
from onward.inference.adapt import AdaptOptions
from onward.inference.beginning import beginning
from onward.inference.completion.infill import InfillKeywords
from onward.inference.completion.options import CompleteKeywords, Completion, Completions
from onward.inference.completion.search import split_partial_word
from onward.inference.generate import WriteOptions, Writer
from onward.inference.novelty.novelty import MINIMUM, CorpusSource, Novelty, novelty
from onward.inference.scoring.html_report import write_page
from onward.inference.scoring.protocol import Learn, Protocol, learns_memory, learns_weights
from onward.inference.scoring.score import (
    LineScore,
    Score,
    ScoringProgress,
    SymbolScore,
    score,
    score_lines,
    score_symbols,
)
from onward.inference.session import REACH, Session
from onward.inference.step.packed_weights import WeightType
from onward.inference.step.sampling import Sampling
from onward.inference.text_source import TextOrIds, TextSource, ids_of
from onward.memory.layout import MEGABYTES
from onward.memory.memory import UNDO, Memory
from onward.model import LanguageModel
from onward.precision import Precision


class WriteKeywords(TypedDict, total=False):
    """The options of writing, as keyword arguments.

    `Sampling` describes `temperature`, `top_k`, `top_p` and `min_p`; `WriteOptions` describes the others.
    `stop` may be a single string. With `ignore_end=None`, the default, END is ignored if the model was
    trained on a single text, because such a model never saw the end of a text.
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


class LearnKeywords(TypedDict, total=False):
    """What learns while a text is scored.

    Attributes:
        learn: "memory" learns each symbol after it was scored (see `onward.memory`), "weights" learns each
            block (see `AdaptOptions`), "both" does both, and "none", the default, nothing. The model itself
            does not change.
        adapt: how the weights learn; if given, they learn.
        memory: size of the memory in megabytes.
    """

    learn: Learn
    adapt: AdaptOptions | None
    memory: float | int


class TrainedModel:
    """A model with its vocabulary, as `onward.load` returns it.

    Args:
        artefact: the content of the model file.
        path: the model file, if there is one.

    Attributes:
        artefact, path: as given.
    """

    def __init__(self, artefact: Artefact, path: str | os.PathLike[str] | None = None) -> None:
        self.artefact = artefact
        self.path = None if path is None else Path(path)
        self._memories: dict[
            tuple[float | int, int], Memory
        ] = {}  # by size in megabytes, and symbols to undo

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> "TrainedModel":
        """Loads a model file, or a base model by its name (see `onward.bases`).

        Raises:
            ArtefactError: the file is missing, damaged, not a model file, or from a later version.
        """
        return cls(load(path, device=device), find_model(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model file. If this fails, a previous file at this path does not change.

        Raises:
            WriteError: the file cannot be written.
        """
        save(self.artefact, path)

    @property
    def model(self) -> LanguageModel:
        """The network, in evaluation mode."""
        return self.artefact.model

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the model."""
        return self.artefact.vocabulary

    def write(self, prime: TextOrIds = "", **options: Unpack[WriteKeywords]) -> str:
        """Returns a continuation of the prime, without the prime itself.

        Args:
            prime: text that the model reads first. Without one, the text begins as the texts of the corpus
                do (see `beginning`).
            options: see `WriteKeywords`.

        Raises:
            InputError: an option is out of range.
        """
        return "".join(self.stream(prime, **options))

    def stream(self, prime: TextOrIds = "", **options: Unpack[WriteKeywords]) -> Iterator[str]:
        """Yields the text that `write` would return, piece by piece while it is written."""
        return (piece for (piece,) in self.writer(prime, **options))

    def writer(self, prime: TextOrIds = "", samples: int = 1, **options: Unpack[WriteKeywords]) -> Writer:
        """Returns a `Writer`, which writes samples in one batch and knows how many symbols each has."""
        others: dict[str, Any] = dict(options)
        if others.get("ignore_end") is None:
            others["ignore_end"] = not self.has_ends
        names = ("temperature", "top_k", "top_p", "min_p")
        sampling = {name: others.pop(name) for name in names if name in others}
        stop = others.pop("stop", ())
        stop = (stop,) if isinstance(stop, str) else tuple(stop)
        checked = WriteOptions(sampling=Sampling(**sampling), stop=stop, **others)
        ids = ids_of(prime, self.vocabulary)
        return Writer(self.model, self.vocabulary, ids if len(ids) else self.beginning, checked, samples)

    @cached_property
    def beginning(self) -> np.ndarray:
        """The ids (n,) that the model reads before a text without a prime, such as END or a newline."""
        return beginning(self.model, self.vocabulary, self.artefact.facts)

    @property
    def has_ends(self) -> bool:
        """Whether the model saw the ends of texts in training. If this is not known, it is assumed.

        It is also true if the vocabulary has only special symbols, because END is then the only symbol that
        can be written.
        """
        corpus = self.artefact.facts.get("corpus")
        seen = corpus.get("ends", 1) if isinstance(corpus, dict) else 1
        return bool(seen) or len(self.vocabulary) == len(SPECIAL)

    def samples(self, prime: TextOrIds = "", count: int = 1, **options: Unpack[WriteKeywords]) -> list[str]:
        """Returns several continuations of the prime. The first one equals the result of `write`."""
        texts = [""] * count
        for gained in self.writer(prime, count, **options):
            texts = [text + piece for text, piece in zip(texts, gained, strict=True)]
        return texts

    def unknown_symbols(self, text: str) -> int:
        """Returns the number of symbols of a text that are not in the vocabulary."""
        return int((self.vocabulary.encode(text) == UNKNOWN).sum())

    def complete(
        self,
        prime: str | bytes = "",
        *,
        memory: float | int = MEGABYTES,
        **options: Unpack[CompleteKeywords],
    ) -> Completions:
        """Returns the likeliest continuations of a text, by default up to the end of a word.

        Args:
            prime: text that the model reads first. An incomplete word at its end is completed, such as "phil"
                by "osophy".
            memory: size of the memory in megabytes; 0 turns it off.
            options: see `CompleteOptions`.

        Raises:
            InputError: an option is out of range.
        """
        session = self.session(reach=4, memory=memory)
        head, word = split_partial_word(prime, self.vocabulary)
        session.feed(head)
        return session.complete(word, **options)

    def infill(
        self,
        prefix: str,
        suffix: str,
        *,
        extra: Sequence[str] = (),
        memory: float | int = MEGABYTES,
        **options: Unpack[InfillKeywords],
    ) -> tuple[Completion, ...]:
        """Returns the likeliest texts between a prefix and a suffix, at most one line each.

        Args:
            prefix, suffix: the text before and after the cursor.
            extra: other texts, such as parts of other files. The memory counts them and the suffix.
            memory: size of the memory in megabytes; 0 turns it off.
            options: see `InfillOptions`.

        Raises:
            InputError: an option is out of range, or the symbols are words.
        """
        background = self.memory(memory)
        if background:
            for text in (*extra, suffix):
                background.count(self.vocabulary.encode(text + "\n"))
        session = Session(self.model, self.vocabulary, reach=4, beginning=self.beginning, memory=background)
        session.feed(prefix)
        return session.infill(suffix, **options)

    def memory(self, megabytes: float | int = MEGABYTES, *, undo: int = UNDO) -> Memory | None:
        """Returns the memory at the start of a text; None for 0 megabytes. See `Memory`.

        If the model remembers the end of its training text, the memory has counted it.

        Raises:
            InputError: the size is out of range, or the vocabulary is too large.
        """
        if not megabytes:
            return None
        if self.artefact.remembered is None:
            return Memory(self.vocabulary, megabytes, undo=undo)
        size = megabytes, undo
        if size not in self._memories:  # counting takes a second
            self._memories[size] = Memory(
                self.vocabulary, megabytes, undo=undo, counted=self.artefact.remembered
            )
        return self._memories[size].fork()

    def session(
        self, *, reach: int = REACH, weights: WeightType = "fp32", memory: float | int = MEGABYTES
    ) -> Session:
        """Opens a session.

        Args:
            reach, weights: see `Session`.
            memory: size of its memory in megabytes; 0 turns it off.
        """
        return Session(
            self.model,
            self.vocabulary,
            reach=reach,
            weights=weights,
            beginning=self.beginning,
            memory=self.memory(memory),
        )

    def score(
        self,
        source: TextSource,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        progress: ScoringProgress | None = None,
        precision: Precision | None = None,
        **learning: Unpack[LearnKeywords],
    ) -> Score:
        """Scores a text, in constant memory.

        Args:
            source: a text (`str` or `bytes`), its ids, a file as a `Path`, or a `Corpus`.
            cold: score windows of this number of symbols, each from the empty state. None keeps the state.
            lanes: number of parallel lanes, in float32; 1 is exact. None uses the fastest number of lanes
                and precision, which changes the score of a long text by less than 0.1 %.
            progress: called with the number of symbols scored so far and the total number of symbols.
            precision: precision of the matrix products of parallel lanes, "bf16" or "fp32"; None measures
                which is faster.
            learning: see `LearnKeywords`.

        Raises:
            CorpusError: the source has no text, or cannot be read.
            InputError: `cold` or `lanes` is below 1, or one of them is combined with learning; or the size of
                the memory is out of range.
        """
        protocol = replace(self._protocol(cold, lanes, **learning), precision=precision)
        return score(self.model, self.vocabulary, source, protocol, progress)

    def score_lines(
        self,
        source: TextSource,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        **learning: Unpack[LearnKeywords],
    ) -> Iterator[LineScore]:
        """Yields the score of each line, in order. Arguments and errors are those of `score`."""
        return score_lines(self.model, self.vocabulary, source, self._protocol(cold, lanes, **learning))

    def score_symbols(
        self,
        source: TextSource,
        *,
        cold: int | None = None,
        lanes: int | None = None,
        **learning: Unpack[LearnKeywords],
    ) -> Iterator[SymbolScore]:
        """Yields the score of each symbol, in order. Arguments and errors are those of `score`."""
        return score_symbols(self.model, self.vocabulary, source, self._protocol(cold, lanes, **learning))

    def _protocol(
        self,
        cold: int | None,
        lanes: int | None,
        *,
        learn: Learn = "none",
        adapt: AdaptOptions | None = None,
        memory: float | int = MEGABYTES,
    ) -> Protocol:
        if learn not in get_args(Learn):
            raise InputError(f"expected learn to be {', '.join(get_args(Learn))}, got {learn!r}")
        if learns_memory(learn) and not memory:
            raise InputError(
                f"expected a memory of 1 megabyte or more with learn={learn!r}, got 0",
                hint="choose a size, or leave the memory out of learn",
            )
        if learns_weights(learn):
            adapt = adapt or AdaptOptions()
        return Protocol(
            cold=cold,
            lanes=lanes,
            adapt=adapt,
            memory=self.memory(memory, undo=0) if learns_memory(learn) else None,
        )

    def write_page(self, source: TextSource, path: str | os.PathLike[str], *, title: str = "") -> Score:
        """Writes an HTML page that colours each symbol by its surprise, and returns the score.

        Raises:
            CorpusError: the source has no text, or cannot be read.
            InputError: the text has more than 200,000 symbols.
            WriteError: the file cannot be written.
        """
        return write_page(self.model, self.vocabulary, source, path, title=title)

    def novelty(
        self, text: str | bytes | Path, corpus: CorpusSource, *, minimum: int = MINIMUM, longest: int = 10
    ) -> Novelty:
        """Finds the spans of a text that are copied from a corpus, in the symbols of this model."""
        kind, lower = self.vocabulary.kind, self.vocabulary.lower
        return novelty(text, corpus, kind=kind, lower=lower, minimum=minimum, longest=longest)

    def info(self) -> dict[str, Any]:
        """Returns all facts about the model, as plain values."""
        config, vocabulary = self.artefact.model.config, self.vocabulary
        remembered = self.artefact.remembered
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
        } | ({"remembered": {"symbols": len(remembered)}} if remembered is not None else {})

    def _file(self) -> dict[str, Any] | None:
        """Returns the path, the size in bytes and the hash of the model file."""
        if self.path is None:
            return None
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"path": str(self.path), "bytes": file.tell(), "sha256": digest}
