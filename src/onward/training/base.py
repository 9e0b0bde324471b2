"""The base of a run: a trained model whose weights the run begins with."""

import math
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from onward.artefact import Artefact, digest_of, load, weights_of
from onward.bases import base_names
from onward.data.encoded import EncodedCorpus
from onward.data.vocabulary import SPECIAL, UNKNOWN, Vocabulary, lower_case
from onward.errors import RecipeError
from onward.model import Architecture, LanguageModel
from onward.training.held_out import HeldOut, held_out_loss
from onward.training.recipe import Recipe

_PIECES, _PIECE, _BURN_IN = 16, 512, 64
"""Number and length in symbols of the pieces of a corpus that a base scores, and of the text before each."""

_LIKE = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2013": "-",
    "\u2014": "-",
    "\u00a0": " ",
}
"""Characters that a base may lack, and the ASCII characters that replace them."""

ARCHITECTURE = tuple(field.name for field in fields(Architecture) if field.name != "dropout")
"""The hyperparameters in which a run and its base must be equal."""


@dataclass(frozen=True)
class Base:
    """A trained model to begin with.

    Attributes:
        name: name of a base model, or path of a model file.
        artefact: the model.
    """

    name: str
    artefact: Artefact

    @classmethod
    def load(cls, name: str) -> "Base":
        """Loads a base model by its name, or a model file.

        Raises:
            ArtefactError: the file is missing, damaged, or not a model file.
        """
        return cls(name, load(name))

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return digest_of(weights_of(self.artefact.model))

    def surprise(self, corpus: EncodedCorpus) -> float:
        """Returns the loss of the base on pieces from all parts of a corpus, in nats per symbol.

        The symbols that the base does not have share the probability of its unknown symbol equally.
        """
        length = min(_PIECE, max(1, (len(corpus.ids) - 1) // 2))
        burn_in = min(_BURN_IN, length // 2)
        count = max(1, min(_PIECES, len(corpus.ids) // (length + burn_in)))
        stretch = len(corpus.ids) // count
        starts = [number * stretch + burn_in for number in range(count)]
        pieces = HeldOut.cut(corpus.ids, starts, min(length, stretch - burn_in), burn_in)
        known = torch.from_numpy(self._ids_of(corpus.vocabulary))
        translated = HeldOut(known[pieces.x], known[pieces.y], pieces.burn_in)
        unknown = int((known == UNKNOWN).sum())  # one of them is the unknown symbol of the text
        share = float((translated.y[pieces.burn_in :] == UNKNOWN).double().mean())
        return held_out_loss(self.artefact.model, translated) + share * math.log(unknown)

    def recipe(self, recipe: Recipe, given: dict[str, Any]) -> Recipe:
        """Returns a recipe with the architecture and the kind of symbols of the base.

        Args:
            recipe: the recipe.
            given: the hyperparameters that the user gave, by name.

        Raises:
            RecipeError: a hyperparameter that the user gave, also by a recipe other than the default, differs
                from that of the base.
        """
        config, vocabulary = self.artefact.model.config, self.artefact.vocabulary
        own = {name: getattr(config, name) for name in ARCHITECTURE} | {"symbols": vocabulary.kind}
        if vocabulary.lower:
            own["lower"] = True
        named = {} if recipe.name == "default" else {name: getattr(recipe, name) for name in ARCHITECTURE}
        asked = named | given
        for name, value in own.items():
            if asked.get(name, value) != value:
                raise RecipeError(
                    f"expected {name} {value!r}, as in the base {self.name}, got {asked[name]!r}",
                    hint="leave it out, or begin with new weights with --base none",
                )
        return replace(recipe, **own)

    def extend(self, corpus: EncodedCorpus) -> EncodedCorpus:
        """Returns the corpus with a vocabulary that has the symbols of the base too, after its own."""
        vocabulary = corpus.vocabulary
        if vocabulary.kind == "bytes":
            return corpus
        known = set(vocabulary.symbols)
        further = [symbol for symbol in self.artefact.vocabulary.symbols if symbol not in known]
        if vocabulary.lower:
            further = [symbol for symbol in further if lower_case(symbol) == symbol]
        extended = Vocabulary(vocabulary.kind, [*vocabulary.symbols, *further], lower=vocabulary.lower)
        counts = np.concatenate([corpus.counts, np.zeros(len(further), corpus.counts.dtype)])
        return replace(corpus, vocabulary=extended, counts=counts)

    @torch.no_grad()
    def copy_weights(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        """Replaces the weights of a model by those of the base.

        A symbol that the base does not have gets the weights of a similar one, such as "e" for "é", or else
        those of the unknown symbol.
        """
        source, rows = self.artefact.model, torch.from_numpy(self._ids_of(vocabulary))
        for target, value in zip(model.stack.parameters(), source.stack.parameters(), strict=True):
            target.copy_(value)
        model.embedding.weight.copy_(source.embedding.weight[rows])
        if not model.config.tied:
            model.readout.weight.copy_(source.readout.weight[rows])
            model.readout.bias.copy_(source.readout.bias[rows])

    def _ids_of(self, vocabulary: Vocabulary) -> np.ndarray:
        """Returns, for each id of a vocabulary, the id of the base that stands for it, (V,) int64."""
        own = self.artefact.vocabulary
        ids = {symbol: number for number, symbol in enumerate(own.symbols, len(SPECIAL))}
        found = [ids.get(symbol, ids.get(_alike(symbol), UNKNOWN)) for symbol in vocabulary.symbols]
        return np.array([*range(len(SPECIAL)), *found])


class BaseChoice(NamedTuple):
    """The base of a run.

    Attributes:
        base: the base.
        nats_per_symbol: its loss on the corpus before training; None if it was not measured.
    """

    base: Base
    nats_per_symbol: float | None = None


def choose_base(corpus: EncodedCorpus, recipe: Recipe, given: Collection[str]) -> BaseChoice | None:
    """Returns the base model whose loss on a corpus is lowest; None if none has the architecture of the run.

    Args:
        corpus: the corpus.
        recipe: the recipe.
        given: names of the hyperparameters that the user chose.
    """
    is_fitting = recipe.name == "default" and recipe.symbols == "characters"
    if not is_fitting or not base_names() or not set(ARCHITECTURE).isdisjoint(given):
        return None
    bases = [Base.load(name) for name in base_names()]
    nats, _, best = min((base.surprise(corpus), base.name, base) for base in bases)
    return BaseChoice(best, nats)


def _alike(symbol: str) -> str:
    """Returns the symbol without its accents, or the ASCII character that replaces it."""
    return _LIKE.get(symbol) or unicodedata.normalize("NFKD", symbol)[:1]
