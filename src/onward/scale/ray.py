"""Scores texts and judges sequences in datasets of Ray Data.

    import ray
    import onward.scale.ray

    texts = ray.data.read_parquet("s3://bucket/texts/")
    onward.scale.ray.score(texts, "m.onward", column="text").write_parquet("s3://bucket/scores/")

Reading, writing and dividing the work are Ray's. Each of Ray's workers loads the model once, from a path that
must exist on every node. A row is scored by itself, so its figures do not depend on the other rows.
"""

import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from onward.errors import InputError
from onward.precision import quick_precision
from onward.scale.archives.read_file import load_detector
from onward.scale.archives.score_files import load_model

if TYPE_CHECKING:
    from ray.data import Dataset

Path = str | os.PathLike[str]


def score(dataset: "Dataset", model: Path, *, column: str = "text", **how: Any) -> "Dataset":
    """Returns a dataset with the columns symbols, nats, nats_per_symbol, bits_per_symbol and unknown added.

    Args:
        dataset: rows with a text each.
        model: the model file, or the name of a base model.
        column: the column of the texts. An empty text has 0 symbols, and NaN per symbol.
        how: arguments of `TrainedModel.score`.

    Raises:
        InputError: the dataset has no such column.
        ArtefactError: the model cannot be read.
    """
    _check_columns(dataset, column)
    path = _absolute(model)
    load_model(path)  # so that a wrong path is refused here
    precision = quick_precision(torch.device("cpu"))  # measured here, because workers could differ

    def add_scores(batch: Any) -> Any:  # arrays by column
        torch.set_num_threads(1)
        rows = [_score_text(path, str(text), {"precision": precision, **how}) for text in batch[column]]
        return batch | {name: np.array([row[name] for row in rows]) for name in _NAMES}

    return dataset.map_batches(add_scores, batch_format="numpy", batch_size=_ROWS_AT_ONCE)


def judge(
    dataset: "Dataset", detector: Path, *, key: str, event: str = "event", order: str | None = None
) -> "Dataset":
    """Returns a dataset with the verdict on each sequence, in any order.

    Its columns are the key, events (their number), score, p_value, flagged and main_feature.

    Args:
        dataset: rows with an event each.
        detector: the detector's file.
        key: the column whose value groups rows into a sequence.
        event: the column of the event's name.
        order: the column, such as a time, by which the events of a sequence are ordered. Without it they keep
            the order of the dataset, which Ray keeps only within a block.

    Raises:
        InputError: the dataset lacks one of the columns.
        ArtefactError: the detector cannot be read.
    """
    _check_columns(dataset, key, event, *filter(None, [order]))
    path = _absolute(detector)
    load_detector(path)  # so that a wrong path is refused here

    def judge_sequence(rows: Any) -> Any:  # arrays by column
        torch.set_num_threads(1)
        places = np.argsort(rows[order], kind="stable") if order else slice(None)
        events = [str(name) for name in rows[event][places]]
        (verdict,) = load_detector(path).judge([events], explain=False)
        return {
            key: rows[key][:1],
            "events": np.array([len(events)]),
            "score": np.array([verdict.score]),
            "p_value": np.array([verdict.p_value]),
            "flagged": np.array([verdict.flagged]),
            "main_feature": np.array([verdict.main_feature]),
        }

    return dataset.groupby(key).map_groups(judge_sequence, batch_format="numpy")


_ROWS_AT_ONCE = 64
_NAMES = ("symbols", "nats", "nats_per_symbol", "bits_per_symbol", "unknown")


def _score_text(model: str, text: str, how: dict[str, Any]) -> dict[str, Any]:
    if not text:
        nothing: dict[str, Any] = {name: np.nan if "_per_" in name else 0 for name in _NAMES}
        return nothing
    return load_model(model).score(text, **how).to_json()


def _absolute(model: Path) -> str:
    """Returns an absolute path, or the name of a base model: workers have other current folders."""
    return str(pathlib.Path(model).resolve()) if pathlib.Path(model).exists() else os.fspath(model)


def _check_columns(dataset: "Dataset", *names: str) -> None:
    found = dataset.columns() or []
    for name in names:
        if name not in found:
            raise InputError(
                f"expected a column {name!r}, got {', '.join(found)}", hint="name a column of the dataset"
            )
