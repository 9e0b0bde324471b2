"""Small artefacts, and files of them with another header or other weights."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from onward.artefact import Artefact
from onward.data.vocabulary import Vocabulary
from onward.model import LanguageModel, ModelConfig

Change = Callable[[dict], None]


def fill(model: LanguageModel) -> LanguageModel:
    """Weights that do not depend on a random generator: sixteenths, the same on every machine."""
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            weight.copy_((torch.arange(weight.numel()).view_as(weight) * 7 + number) % 33 / 16 - 1)
    return model


def small(layer: str = "gated", **config: object) -> Artefact:
    vocabulary = Vocabulary.of_text("ab\n\u4e2d\U0001f600", "characters")
    shape = ModelConfig(symbols=len(vocabulary), layer=layer, width=4, layers=1, **config)  # type: ignore[arg-type]
    return Artefact(
        fill(LanguageModel(shape)).eval(),
        vocabulary,
        {"name": "test", "rate": 0.1},
        {"steps": 3, "corpus": "\u00e9"},
    )


def header_of(path: Path) -> dict:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["onward"])


def rewrite(path: Path, change: Change | None = None, weights: dict | None = None) -> None:
    """The same file with another header or other weights."""
    header, weights = header_of(path), weights or load_file(path)
    if change:
        change(header)
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()}, path, {"onward": json.dumps(header)}
    )


def config(**values: object) -> Change:
    return lambda header: header["config"].update(values)
