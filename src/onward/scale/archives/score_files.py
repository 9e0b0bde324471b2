"""The job that scores one file of an archive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from onward.data.corpus import STANDARD_INPUT, Corpus, has_content
from onward.inference.trained_model import TrainedModel
from onward.precision import Precision


@dataclass(frozen=True)
class ScoreFile:
    """Scores a file in a worker, on one thread; a call returns `score_file`.

    Attributes:
        model: the model file, or the name of a base model.
        how: arguments of `TrainedModel.score`.
        digests: those of the corpus.
        precision: precision of the matrix products. Workers must not measure it: each could find another.
    """

    model: str
    how: dict[str, Any]
    precision: Precision
    digests: dict[Path, str] = field(default_factory=dict)

    def __call__(self, document: Path) -> dict[str, Any] | None:
        torch.set_num_threads(1)
        how = self.how | {"precision": self.precision}
        return score_file(load_model(self.model), document, how, self.digests)


def score_file(
    trained: TrainedModel, document: Path, how: dict[str, Any], digests: Mapping[Path, str]
) -> dict[str, Any] | None:
    """Returns a row with the figures of a file, scored from an empty state; None if it is empty.

    Args:
        trained: the model.
        document: the file.
        how: arguments of `TrainedModel.score`.
        digests: those of the corpus: a document that has one is the copy of a pipe.

    Raises:
        CorpusError: the file cannot be read.
    """
    if not has_content(document):
        return None
    name = STANDARD_INPUT if document in digests else str(document)
    found = trained.score(Corpus(name, (document,), digests=digests), **how).to_json()
    kept = ("symbols", "nats_per_symbol", "bits_per_symbol", "unknown")
    return {"file": name, **{key: found[key] for key in kept}}


@lru_cache(maxsize=1)
def load_model(path: str) -> TrainedModel:
    """Returns a model, which a process loads once."""
    return TrainedModel.load(path)
