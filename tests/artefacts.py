"""Builds small artefacts, and model files with a changed header or changed weights."""

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from onward.artefact import Artefact, digest_of
from onward.data.vocabulary import Vocabulary
from onward.model import LanguageModel, LayerKind, ModelConfig

Change = Callable[[dict[str, Any]], None]
"""Changes a header in place."""


def fill(model: LanguageModel) -> LanguageModel:
    """Sets weights that are the same on every machine: sixteenths, without a random generator."""
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.copy_((torch.arange(weight.numel()).view_as(weight) * 7 + number) % 33 / 16 - 1)
    return model


def small(layer: LayerKind = "gated", **config: Any) -> Artefact:
    vocabulary = Vocabulary.of_text("ab\n\u4e2d\U0001f600", "characters")
    shape = ModelConfig(symbols=len(vocabulary), layer=layer, width=4, layers=1, **config)
    return Artefact(
        fill(LanguageModel(shape)).eval(),
        vocabulary,
        {"name": "test", "rate": 0.1},
        {"steps": 3, "corpus": "\u00e9"},
    )


def header_of(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["onward"])


def rewrite(path: Path, change: Change | None = None, weights: dict[str, torch.Tensor] | None = None) -> None:
    """Replaces the header or the weights of a file; the stored digests stay as they were."""
    header, weights = header_of(path), weights or load_file(path)
    if change:
        change(header)
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, path, {"onward": json.dumps(header)}
    )


def forge(path: Path, change: Change | None = None, weights: dict[str, torch.Tensor] | None = None) -> None:
    """Replaces the header or the weights of a file, with digests that fit."""
    header, weights = header_of(path), weights or load_file(path)
    if change:
        change(header)
    header["sha256"] = digest_of(weights)
    others = {name: value for name, value in header.items() if name != "header_sha256"}
    header["header_sha256"] = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, path, {"onward": json.dumps(header)}
    )


def config(**values: object) -> Change:
    return lambda header: header["config"].update(values)
