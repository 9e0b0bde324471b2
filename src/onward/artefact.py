"""The one file that a trained model is.

A safetensors file, which holds numbers and no code: the weights, and in its header under the key `onward`
a JSON object with everything else.

    format      the version of this layout
    onward      the version of onward that wrote it
    config      `ModelConfig`: what the shapes of the weights follow from
    vocabulary  what the ids mean
    recipe      every hyperparameter of the training run
    facts       what training found: steps, symbols, losses in nats per symbol, hash of the corpus
    sha256      of the weights

The same artefact gives the same bytes: no date and no duration is in it.
"""

import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.atomic import atomic_write
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, RecipeError, VocabularyError
from onward.model import LanguageModel, ModelConfig

FORMAT = 1
LONGEST_HEADER = 1 << 26
"""Bytes; a vocabulary of a million words takes about a quarter of it."""

_KEY = "onward"
_FIELDS = {"format", "onward", "config", "vocabulary", "recipe", "facts", "sha256"}
_HINT = "train a model with `onward train`, or name a file that it wrote"


@dataclass(frozen=True)
class Artefact:
    """A trained model with all that is needed to use it.

    Attributes:
        model: in evaluation mode.
        vocabulary: what its ids mean.
        recipe: every hyperparameter of the training run, by name.
        facts: what training found, by name.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    recipe: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def save(artefact: Artefact, path: str | os.PathLike[str]) -> None:
    """Writes the file, whole or not at all.

    Raises:
        WriteError: the disk refused.
    """
    weights = weights_of(artefact.model)
    header = {
        "format": FORMAT,
        "onward": version("onward"),
        "config": artefact.model.config.to_json(),
        "vocabulary": artefact.vocabulary.to_json(),
        "recipe": artefact.recipe,
        "facts": artefact.facts,
        "sha256": digest_of(weights),
    }
    content = to_safetensors(weights, {_KEY: json.dumps(header, sort_keys=True)})
    with atomic_write(path) as file:
        file.write(content)


def load(path: str | os.PathLike[str]) -> Artefact:
    """Reads the file, on the CPU. Nothing in it is run, and no more is allocated than its size.

    Raises:
        ArtefactError: it is missing, damaged, not one of ours, or of a later version.
    """
    source = Path(path)
    check_header(source)
    try:
        with safe_open(source, framework="pt") as file:
            header = _read_header(source, file.metadata() or {})
            model = _empty_model(source, header)
            _check_shapes(source, file, weights_of(model))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        vocabulary = Vocabulary.from_json(header["vocabulary"])
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{source} is not a whole model file: {error}", hint=_HINT) from error
    except VocabularyError as error:
        raise ArtefactError(f"the vocabulary of {source} is damaged: {error}", hint=_HINT) from error
    if len(vocabulary) != model.config.symbols:
        found = f"{len(vocabulary)} symbols and a model for {model.config.symbols}"
        raise ArtefactError(f"{source} has a vocabulary of {found}", hint=_HINT)
    if digest_of(weights) != header["sha256"]:
        raise ArtefactError(f"the weights of {source} are not those that were saved (their sha256 differs)")
    set_weights(model, weights)
    return Artefact(model.eval(), vocabulary, header["recipe"], header["facts"])


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """The weights by name, each once: a tied readout is the embedding."""
    tied = {"readout.weight"} if model.config.tied else set()
    return {name: weight for name, weight in model.state_dict().items() if name not in tied}


def set_weights(model: LanguageModel, weights: dict[str, Tensor]) -> None:
    """Makes the tensors (see `weights_of`) the weights of the model, without copying them."""
    model.load_state_dict(weights, strict=not model.config.tied, assign=True)
    if model.config.tied:
        model.readout.weight = model.embedding.weight


def digest_of(weights: dict[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_header(path: Path) -> None:
    """Refuses what cannot be a safetensors file before more than eight bytes of it are read.

    Raises:
        ArtefactError: it is missing, too short, or claims a header that it cannot have.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise ArtefactError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    if len(start) < 8:
        raise ArtefactError(f"{path} is not a model file: it has {size} bytes", hint=_HINT)
    (claimed,) = struct.unpack("<Q", start)
    if claimed > min(size - 8, LONGEST_HEADER):
        found = f"its first bytes claim a header of {claimed} bytes in a file of {size}"
        raise ArtefactError(f"{path} is not a whole model file: {found}", hint=_HINT)


def _read_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """The JSON object of a file that is one of ours."""
    if _KEY not in metadata:
        raise ArtefactError(f"{path} is a safetensors file, but was not written by onward", hint=_HINT)
    try:
        header = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"the header of {path} is damaged: {error}", hint=_HINT) from error
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        hint = "update onward" if isinstance(found, int) and found > FORMAT else _HINT
        raise ArtefactError(f"{path} has format {found!r}, expected {FORMAT}", hint=hint)
    if set(header) != _FIELDS or not all(isinstance(header[name], dict) for name in ("recipe", "facts")):
        raise ArtefactError(f"the header of {path} has not the fields of format {FORMAT}", hint=_HINT)
    return header


def _empty_model(path: Path, header: dict[str, Any]) -> LanguageModel:
    """The model of a header's configuration, without memory behind its weights."""
    try:
        config = ModelConfig.from_json(header["config"])
    except RecipeError as error:
        raise ArtefactError(
            f"the configuration of {path} is not one this version can build: {error}"
        ) from error
    with torch.device("meta"):
        return LanguageModel(config)


def _check_shapes(path: Path, file: Any, expected: dict[str, Tensor]) -> None:
    """Refuses a file whose tensors are not those of the model, before any of them is read."""
    found = set(file.keys())
    if found != set(expected):
        missing, extra = sorted(set(expected) - found)[:3], sorted(found - set(expected))[:3]
        raise ArtefactError(f"the tensors of {path} do not fit: missing {missing}, not expected {extra}")
    for name, weight in expected.items():
        part = file.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        if shape != tuple(weight.shape) or kind not in ("F32", "I64"):
            wanted = f"{tuple(weight.shape)} in float32"
            raise ArtefactError(f"tensor {name} of {path} should be {wanted}, found {shape} in {kind}")
