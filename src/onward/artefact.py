"""The model file: everything about a trained model in one safetensors file.

It holds the weights, in float32 or bfloat16. Its header has a JSON object under the key `onward`:

    format      version of this layout
    onward      version of onward that wrote the file
    config      the `ModelConfig`, which determines the shapes of the weights
    vocabulary  the meaning of the ids
    recipe      every hyperparameter of the training run
    facts       results of training: steps, symbols, losses in nats per symbol, sha256 of the corpus
    watch       only in a detector: its calibration and its input format (see `onward.watch.detector`)
    remembered  only if the model remembers the end of its training text: the number of symbols. The text
                itself is one more tensor, `remembered` (see `onward.memory.remembered`)
    units       the units of the values above
    sha256      the SHA-256 of all tensors
    header_sha256   the SHA-256 of all fields above, as JSON with sorted keys

Loading a file runs no code. Equal artefacts give equal bytes: the file holds no date and no duration.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from typing import Any, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.atomic import atomic_write
from onward.bases import base_names, find_model
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, RecipeError
from onward.file_kind import kind_of
from onward.memory.remembered import pack, unpack
from onward.model import LanguageModel, ModelConfig
from onward.printable import shown
from onward.stored import Count, StoredModel, refusing_damage

FORMAT = 1
LONGEST_HEADER = 1 << 25
"""In bytes. A million English words take half of it. Parsing may take 25 times the header's size."""

UNITS = {"nats": "natural logarithm", "per_symbol": "mean", "symbol": "one id of the vocabulary"}

_KEY = "onward"
_REMEMBERED = "remembered"  # a tensor, and a field of the header
_TYPES = {torch.float32: "F32", torch.bfloat16: "BF16"}
_DAMAGED = "replace the file with an undamaged copy, or train again"
_DIVERGED = "the training run diverged: train again with a lower learning rate"
_HINT = "name a file that `onward train` or `onward watch learn` wrote"


@dataclass(frozen=True)
class Artefact:
    """A trained model and everything needed to use it.

    Attributes:
        model: in evaluation mode if it was loaded.
        vocabulary: the meaning of its ids.
        recipe: every hyperparameter of the training run, by name.
        facts: results of training, by name.
        watch: calibration and input format of a detector, as plain values; None for other models.
        remembered: the end of the training text, (N,), which each memory counts at its start; None for most
            models.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    recipe: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    watch: dict[str, Any] | None = None
    remembered: np.ndarray | None = None


def save(artefact: Artefact, path: str | os.PathLike[str], *, dtype: torch.dtype = torch.float32) -> None:
    """Writes a model file atomically.

    Args:
        artefact: the model.
        path: the file.
        dtype: type of the weights in the file. bfloat16 halves it, and rounds weights to 8 significant bits.

    Raises:
        ArtefactError: a weight is not a finite number, weights are so large that the model could
            overflow, or the header has NaN or is too long to load.
        WriteError: the file cannot be written.
    """
    weights = {name: weight.detach().cpu() for name, weight in weights_of(artefact.model).items()}
    _check_values("the model", weights)
    weights = {name: weight.to(dtype).contiguous() for name, weight in weights.items()}
    _check_size("the model", artefact.model)
    tensors = dict(weights)
    if artefact.remembered is not None:
        tensors[_REMEMBERED] = torch.from_numpy(pack(artefact.remembered, len(artefact.vocabulary)))
    header = {
        "format": FORMAT,
        "onward": version("onward"),
        "config": artefact.model.config.to_json(),
        "vocabulary": artefact.vocabulary.to_json(),
        "recipe": artefact.recipe,
        "facts": artefact.facts,
        "units": UNITS,
        "sha256": digest_of(tensors),
    }
    if artefact.watch is not None:
        header["watch"] = artefact.watch
    if artefact.remembered is not None:
        header[_REMEMBERED] = {"symbols": len(artefact.remembered)}
    try:
        header["header_sha256"] = header_digest(header)
    except ValueError as error:
        raise ArtefactError(
            "expected finite numbers in the recipe and the facts of the model, got infinity or NaN",
            hint="leave out these numbers, or replace them by None",
        ) from error
    content = to_safetensors(tensors, {_KEY: json.dumps(header, sort_keys=True)})
    (length,) = struct.unpack("<Q", content[:8])
    if length > LONGEST_HEADER:
        raise ArtefactError(
            f"expected a header of at most {LONGEST_HEADER} bytes, got one of {length} bytes",
            hint="the vocabulary is too large: train with a higher --min-count (min_count in Python)",
        )
    with atomic_write(path) as file:
        file.write(content)


def load(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Artefact:
    """Reads a model file, with weights in float32. Memory use is bounded by the size of the file.

    Args:
        path: the file, or the name of a base model.
        device: the device for the model.

    Raises:
        ArtefactError: the file is missing, damaged, not a model file, or from a later version.
    """
    source = find_model(path)
    with _opened(source) as file:
        content = _header_json(source, file.metadata() or {})
        header = _parse_header(source, content)
        model = _empty_model(source, header.config, len(file.keys()))
        _check_shapes(source, file, weights_of(model), remembers=header.remembered is not None)
        # copied, because the system kills the process if a file is truncated while it is mapped into memory
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    with refusing_damage(f"the vocabulary of {source}", _HINT):
        vocabulary = Vocabulary.from_json(header.vocabulary)
    if len(vocabulary) != model.config.symbols:
        found = f"{len(vocabulary)} symbols, but a model for {model.config.symbols} symbols"
        raise ArtefactError(f"{source} has a vocabulary of {found}", hint=_HINT)
    if digest_of(tensors) != header.sha256:
        raise ArtefactError(f"the weights of {source} are damaged: their sha256 differs", hint=_DAMAGED)
    packed = tensors.pop(_REMEMBERED, None)
    _check_values(str(source), tensors)
    with refusing_damage(f"the header of {source}", _DAMAGED):
        if header_digest(content) != header.header_sha256:
            raise ValueError("its sha256 differs")
    remembered = None
    if packed is not None and header.remembered is not None:
        with refusing_damage(f"the remembered text of {source}", _DAMAGED):
            remembered = unpack(packed.numpy(), header.remembered.symbols, len(vocabulary))
    set_weights(model, {name: weight.float() for name, weight in tensors.items()})
    _check_size(str(source), model)
    return Artefact(
        model.to(device).eval(), vocabulary, header.recipe, header.facts, header.watch, remembered
    )


def is_model(path: Path) -> bool:
    """Returns whether a file is a model file. Detectors are model files too."""
    try:
        with _opened(path) as file:
            return _KEY in (file.metadata() or {})
    except ArtefactError:
        return False


def is_detector(path: Path) -> bool:
    """Returns whether a model file holds a detector, without reading the weights.

    Raises:
        ArtefactError: the file is missing, not a model file, or from a later version.
    """
    path = find_model(path)
    with _opened(path) as file:
        return _parse_header(path, _header_json(path, file.metadata() or {})).watch is not None


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """Returns the weights by name. If readout and embedding share a matrix, it is returned once."""
    tied = {"readout.weight"} if model.config.tied else set()
    return {name: weight for name, weight in model.state_dict().items() if name not in tied}


def set_weights(model: LanguageModel, weights: dict[str, Tensor]) -> None:
    """Replaces the weights of a model with tensors (see `weights_of`), without copying them."""
    model.load_state_dict(weights, strict=not model.config.tied, assign=True)
    if model.config.tied:
        model.readout.weight = model.embedding.weight


def digest_of(weights: dict[str, Tensor]) -> str:
    """Returns the SHA-256 of the names, types, shapes and values of tensors, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_header(path: Path, what: str = "model file") -> None:
    """Checks the length of a safetensors file's header, which its first eight bytes state.

    Args:
        path: the file.
        what: the expected kind of file, for error messages.

    Raises:
        ArtefactError: the file is missing or too short, or the stated length is impossible.
    """
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):  # opening a pipe would wait for somebody who writes to it
            raise ArtefactError(f"expected a {what}, got {kind_of(status.st_mode)}: {path}", hint=_HINT)
        with path.open("rb") as file:
            size, start = status.st_size, file.read(8)
    except OSError as error:
        bundled = " or ".join(base_names())
        hint = f"{_HINT}, or {bundled}, which come with onward"
        raise ArtefactError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    if len(start) < 8:
        raise ArtefactError(f"{path} is not a {what}: it has {size} bytes", hint=_HINT)
    (claimed,) = struct.unpack("<Q", start)
    if claimed > min(size - 8, LONGEST_HEADER):
        found = f"it begins with {_printable(start)}, or it was truncated"
        raise ArtefactError(f"{path} is not a complete {what}: {found}", hint=_HINT)


def header_digest(header: dict[str, Any]) -> str:
    """Returns the SHA-256 of a header without its `header_sha256`, in hexadecimal.

    Raises:
        ValueError: a number is infinite or NaN.
    """
    content = {name: value for name, value in header.items() if name != "header_sha256"}
    try:
        text = json.dumps(content, sort_keys=True, allow_nan=False)
    except ValueError:
        raise ValueError("expected finite numbers, found infinity or NaN") from None
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens a safetensors file. Errors of the library and of the system become ArtefactError."""
    check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path} is not a complete model file: {shown(error)}", hint=_HINT) from error


class _Remembered(StoredModel):
    """The remembered text of a model file."""

    symbols: Count


class _Header(StoredModel):
    """The JSON object of a model file."""

    format: Literal[1]
    onward: str
    config: dict[str, Any]
    vocabulary: dict[str, Any]
    recipe: dict[str, Any]
    facts: dict[str, Any]
    units: dict[str, str]
    sha256: str
    header_sha256: str
    watch: dict[str, Any] | None = None
    remembered: _Remembered | None = None


def _header_json(path: Path, metadata: dict[str, str]) -> Any:
    """Returns the value that the header of a model file holds as JSON."""
    if _KEY not in metadata:
        raise ArtefactError(f"{path} is a safetensors file, but not an onward model", hint=_HINT)
    with refusing_damage(f"the header of {path}", _HINT):
        return json.loads(metadata[_KEY])


def _parse_header(path: Path, content: Any) -> _Header:
    """Returns the header of a model file from its JSON value."""
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is not int or found != FORMAT:
        hint = "update onward" if isinstance(found, int) and found > FORMAT else _HINT
        raise ArtefactError(f"{path} has format {shown(found)}, expected {FORMAT}", hint=hint)
    with refusing_damage(f"the header of {path}", _HINT):
        return _Header.model_validate(content)


def _empty_model(path: Path, description: dict[str, Any], tensors: int) -> LanguageModel:
    """Builds a model from the configuration in a header. Its weights take no memory yet."""
    try:
        config = ModelConfig.from_json(description)
    except RecipeError as error:
        raise ArtefactError(
            f"this version cannot build the model that {path} describes: {shown(error)}", hint=_HINT
        ) from error
    if config.layers > tensors:  # checked first, because building thousands of layers takes a long time
        expected = f"at least {config.layers} tensors in {path} for its {config.layers} layers"
        raise ArtefactError(f"expected {expected}, found {tensors}", hint=_HINT)
    with torch.device("meta"):
        return LanguageModel(config)


def _check_shapes(path: Path, file: Any, expected: dict[str, Tensor], *, remembers: bool) -> None:
    """Raises ArtefactError if the tensors do not have the names, shapes and types of the model's weights, and
    of the remembered text if there is one.
    """
    found, names = set(file.keys()), {*expected, *([_REMEMBERED] * remembers)}
    if found != names:
        missing, extra = sorted(names - found)[:3], sorted(found - names)[:3]
        parts = f"missing {missing}, unexpected {shown(extra)}"
        raise ArtefactError(f"the tensors of {path} do not fit its configuration: {parts}", hint=_HINT)
    for name, weight in expected.items():
        part = file.get_slice(name)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        if shape != tuple(weight.shape) or kind not in _TYPES.values():
            types = " or ".join(_TYPES.values())
            parts = f"expected {tuple(weight.shape)} in {types}, found {shape} in {kind}"
            raise ArtefactError(
                f"tensor {name} of {path} does not fit its configuration: {parts}", hint=_HINT
            )
    if remembers:
        part = file.get_slice(_REMEMBERED)
        shape, kind = tuple(part.get_shape()), part.get_dtype()
        if len(shape) != 1 or kind != "U8":
            raise ArtefactError(
                f"expected the remembered text of {path} as bytes, found shape {shape} in {kind}", hint=_HINT
            )


def _check_values(where: str, weights: dict[str, Tensor]) -> None:
    """Raises ArtefactError if a weight is not a finite number of a type in `_TYPES`."""
    for name, weight in weights.items():
        if weight.dtype not in _TYPES:
            raise ArtefactError(
                f"expected tensor {name} of {where} in float32 or bfloat16, found {weight.dtype}",
                hint="convert the model with model.float()",
            )
        if not weight.isfinite().all():
            raise ArtefactError(
                f"expected finite numbers in tensor {name} of {where}, found infinity or NaN",
                hint=_DIVERGED,
            )


def _check_size(where: str, model: LanguageModel) -> None:
    """Raises ArtefactError if the weights are so large that the model could overflow."""
    if model.can_overflow():
        raise ArtefactError(
            f"expected weights in {where} so small that no value can become infinite, found larger ones",
            hint=_DIVERGED,
        )


def _printable(start: bytes) -> str:
    """Returns the first bytes of a file as text if they are printable, else in hexadecimal."""
    text = start.decode("ascii", "replace")
    return f"'{text}'" if text.isascii() and text.isprintable() else f"the bytes {start.hex(' ')}"
