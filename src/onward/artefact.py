"""The one file that a trained model is.

A safetensors file, which holds numbers and no code: the weights, and in its header under the key `onward`
a JSON object with everything else.

    format      the version of this layout
    onward      the version of onward that wrote it
    config      `ModelConfig`: what the shapes of the weights follow from
    vocabulary  what the ids mean
    recipe      every hyperparameter of the training run
    facts       what training found: steps, symbols, losses in nats per symbol, hash of the corpus
    watch       only of a detector: what it takes to judge sequences (see `onward.watch.detector`)
    units       of the numbers above, for who reads the file without this page
    sha256      of the weights
    header_sha256   of all the above, as JSON with sorted keys

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
LONGEST_HEADER = 1 << 25
"""Bytes; a million English words take half of it. JSON may take 25 times as much to read."""

UNITS = {"nats": "natural logarithm", "per_symbol": "mean", "symbol": "one id of the vocabulary"}

_KEY = "onward"
_FIELDS = {"format", "onward", "config", "vocabulary", "recipe", "facts", "units", "sha256", "header_sha256"}
_TYPES = {torch.float32: "F32"}
_SHOWN = 200
_DAMAGED = "copy the file again from where it is whole, or train again"
_HINT = "name a file that `onward train` or `onward watch learn` wrote"


@dataclass(frozen=True)
class Artefact:
    """A trained model with all that is needed to use it.

    Attributes:
        model: in evaluation mode.
        vocabulary: what its ids mean.
        recipe: every hyperparameter of the training run, by name.
        facts: what training found, by name.
        watch: what makes it a detector, as plain values; None for a model that is none.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    recipe: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    watch: dict[str, Any] | None = None


def save(artefact: Artefact, path: str | os.PathLike[str]) -> None:
    """Writes the file, whole or not at all.

    Raises:
        ArtefactError: weights that are not finite numbers in float32, or too large a vocabulary to load.
        WriteError: the disk refused.
    """
    weights = {
        name: weight.detach().cpu().contiguous() for name, weight in weights_of(artefact.model).items()
    }
    _check_values("the model", weights)
    header = {
        "format": FORMAT,
        "onward": version("onward"),
        "config": artefact.model.config.to_json(),
        "vocabulary": artefact.vocabulary.to_json(),
        "recipe": artefact.recipe,
        "facts": artefact.facts,
        "units": UNITS,
        "sha256": digest_of(weights),
    }
    if artefact.watch is not None:
        header["watch"] = artefact.watch
    header["header_sha256"] = header_digest(header)
    content = to_safetensors(weights, {_KEY: json.dumps(header, sort_keys=True)})
    (length,) = struct.unpack("<Q", content[:8])
    if length > LONGEST_HEADER:
        told = f"the header of the model takes {length} bytes, of which {LONGEST_HEADER} can be read again"
        raise ArtefactError(told, hint="its vocabulary is too large: train with a higher min_count")
    with atomic_write(path) as file:
        file.write(content)


def load(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Artefact:
    """Reads the file. Nothing in it is run, and no more is allocated than its size asks for.

    Raises:
        ArtefactError: it is missing, damaged, not one of ours, or of a later version.
    """
    source = Path(path)
    check_header(source)
    try:
        with safe_open(source, framework="pt") as file:
            header = _read_header(source, file.metadata() or {})
            model = _empty_model(source, header, len(file.keys()))
            _check_shapes(source, file, weights_of(model))
            # copied: a map of the file would end the process if another one cut the file short
            weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        vocabulary = Vocabulary.from_json(header["vocabulary"])
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{source} is not a whole model file: {_short(error)}", hint=_HINT) from error
    except VocabularyError as error:
        raise ArtefactError(f"the vocabulary of {source} is damaged: {_short(error)}", hint=_HINT) from error
    if len(vocabulary) != model.config.symbols:
        found = f"{len(vocabulary)} symbols and a model for {model.config.symbols}"
        raise ArtefactError(f"{source} has a vocabulary of {found}", hint=_HINT)
    if digest_of(weights) != header["sha256"]:
        told = f"the weights of {source} are not those that were saved: their sha256 differs"
        raise ArtefactError(told, hint=_DAMAGED)
    _check_values(str(source), weights)
    if header_digest(header) != header["header_sha256"]:
        raise ArtefactError(f"the header of {source} is not the one that was saved", hint=_DAMAGED)
    set_weights(model, weights)
    return Artefact(
        model.to(device).eval(), vocabulary, header["recipe"], header["facts"], header.get("watch")
    )


def is_model(path: Path) -> bool:
    """Whether a file is a model of onward, a detector or none."""
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            return _KEY in (file.metadata() or {})
    except (ArtefactError, SafetensorError, OSError):
        return False


def is_detector(path: Path) -> bool:
    """Whether a model file is that of a detector; its weights are not read.

    Raises:
        ArtefactError: it is missing, not one of ours, or of a later version.
    """
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return "watch" in _read_header(path, file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path} is not a whole model file: {_short(error)}", hint=_HINT) from error


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


def check_header(path: Path, what: str = "model file") -> None:
    """Refuses what cannot be a safetensors file before more than eight bytes of it are read.

    Args:
        path: of the file.
        what: it should be, for the message.

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
        raise ArtefactError(f"{path} is not a {what}: it has {size} bytes", hint=_HINT)
    (claimed,) = struct.unpack("<Q", start)
    if claimed > min(size - 8, LONGEST_HEADER):
        found = f"it begins with {_as_read(start)}, or it was cut short"
        raise ArtefactError(f"{path} is not a whole {what}: {found}", hint=_HINT)


def header_digest(header: dict[str, Any]) -> str:
    """SHA-256 of a header but for the field that holds it, in hexadecimal."""
    content = {name: value for name, value in header.items() if name != "header_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read_header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """The JSON object of a file that is one of ours."""
    if _KEY not in metadata:
        raise ArtefactError(f"{path} is a safetensors file, but was not written by onward", hint=_HINT)
    try:
        header = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"the header of {path} is damaged: {_short(error)}", hint=_HINT) from error
    found = header.get("format") if isinstance(header, dict) else None
    if type(found) is not int or found != FORMAT:
        hint = "update onward" if isinstance(found, int) and found > FORMAT else _HINT
        raise ArtefactError(f"{path} has format {_short(found)}, expected {FORMAT}", hint=hint)
    objects = ("recipe", "facts", *(("watch",) if "watch" in header else ()))
    if set(header) - {"watch"} != _FIELDS or not all(isinstance(header[name], dict) for name in objects):
        raise ArtefactError(f"the header of {path} has not the fields of format {FORMAT}", hint=_HINT)
    return header


def _empty_model(path: Path, header: dict[str, Any], tensors: int) -> LanguageModel:
    """The model of a header's configuration, without memory behind its weights."""
    try:
        config = ModelConfig.from_json(header["config"])
    except RecipeError as error:
        raise ArtefactError(
            f"the configuration of {path} is not one this version can build: {_short(error)}", hint=_HINT
        ) from error
    if config.layers > tensors:  # before so many layers are built
        raise ArtefactError(
            f"{path} should have {config.layers} layers, and has {tensors} tensors", hint=_HINT
        )
    with torch.device("meta"):
        return LanguageModel(config)


def _check_shapes(path: Path, file: Any, expected: dict[str, Tensor]) -> None:
    """Refuses a file whose tensors are not those of the model, before any of them is read."""
    found = set(file.keys())
    if found != set(expected):
        missing, extra = sorted(set(expected) - found)[:3], sorted(found - set(expected))[:3]
        parts = f"missing {missing}, not expected {_short(extra)}"
        raise ArtefactError(f"the tensors of {path} do not fit: {parts}", hint=_HINT)
    for name, weight in expected.items():
        part = file.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        wanted = tuple(weight.shape), _TYPES[weight.dtype]
        if (shape, kind) != wanted:
            told = f"expected {wanted[0]} in {wanted[1]}, found {shape} in {kind}"
            raise ArtefactError(f"tensor {name} of {path} does not fit: {told}", hint=_HINT)


def _check_values(where: str, weights: dict[str, Tensor]) -> None:
    """Refuses weights that no model of ours can have."""
    for name, weight in weights.items():
        if weight.dtype not in _TYPES:
            raise ArtefactError(
                f"tensor {name} of {where} should be in float32, found {weight.dtype}",
                hint="model.float() makes it so",
            )
        if not weight.isfinite().all():
            raise ArtefactError(
                f"tensor {name} of {where} should hold finite numbers, found infinities or NaN",
                hint="the training run diverged; train again at a lower learning rate",
            )


def _as_read(start: bytes) -> str:
    """First bytes of a file, for people: as text where they are, else in hexadecimal."""
    text = start.decode("ascii", "replace")
    return f"'{text}'" if text.isascii() and text.isprintable() else f"the bytes {start.hex(' ')}"


def _short(content: object) -> str:
    """The beginning of what was found, which may be as large as the file."""
    text = str(content)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
