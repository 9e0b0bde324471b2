"""The checkpoint file: everything that a resumed run needs to give the same bytes as an uninterrupted run.

It is a safetensors file beside the model, `MODEL.checkpoint`, with tensors and one JSON object in its header.
It is written atomically, and refused if it is damaged.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.artefact import check_header, digest_of, header_digest
from onward.atomic import atomic_write
from onward.errors import ArtefactError
from onward.printable import shown, shown_value
from onward.stored import StoredModel, describe

FORMAT = 2
START_AGAIN = "start again without --resume"
_KEY = "onward-checkpoint"
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file, or a snapshot of a run in memory.

    Attributes:
        tensors: by name; a name starts with its groups, as in "run/weights/a.b".
        facts: everything else, as plain values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint file atomically.

    Raises:
        WriteError: the file could not be written; the previous checkpoint is unchanged.
    """
    header = {"format": FORMAT, "sha256": digest_of(checkpoint.tensors), "facts": checkpoint.facts}
    header["header_sha256"] = header_digest(header)
    content = to_safetensors(checkpoint.tensors, {_KEY: json.dumps(header, sort_keys=True)})
    with atomic_write(path) as file:
        file.write(content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint file.

    Raises:
        ArtefactError: the file is missing, damaged, or not a checkpoint of this version.
    """
    with _explained_errors(path):
        check_header(path, "checkpoint")
        content = path.read_bytes()
        tensors = from_safetensors(content)
        header = _read_header(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if header.sha256 != digest_of(tensors):
            raise ArtefactError(f"the tensors in {path} are damaged: their sha256 differs")
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ValueError(f"tensor {name} has infinity or NaN")
        return Checkpoint(tensors, header.facts)


class _Header(StoredModel):
    """The JSON object of a checkpoint."""

    format: Literal[2]
    facts: dict[str, Any]
    sha256: str
    header_sha256: str


def _read_header(content: bytes) -> _Header:
    found = json.loads(json.loads(content)["__metadata__"][_KEY])
    header = _Header.model_validate(found)
    if header.header_sha256 != header_digest(found):
        raise ValueError("its metadata is damaged: the sha256 differs")
    return header


@contextmanager
def _explained_errors(path: Path) -> Iterator[None]:
    """Turns every error about a damaged file into an ArtefactError with the same hint."""
    hint = f"delete {path} to start again"
    try:
        yield
    except ArtefactError as error:
        raise ArtefactError(str(error), hint=hint) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise ArtefactError(f"{path} is not a complete checkpoint: {describe(error)}", hint=hint) from error


def resume_hint(path: Path) -> str:
    """Returns the hint for a run that was stopped after it had written a checkpoint."""
    return f"continue with the same command and --resume (the run is saved in {path})"


def grouped(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors with the group added in front of their names."""
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def group_of(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a group, without the group in their names."""
    return {key.removeprefix(f"{group}/"): t for key, t in tensors.items() if key.startswith(f"{group}/")}


def take(facts: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    """Returns a fact of a checkpoint.

    Raises:
        ArtefactError: the fact is missing or has another type.
    """
    value = facts.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ArtefactError(
            f"expected {name} of type {kind.__name__} in the checkpoint, got {shown_value(value)}",
            hint=START_AGAIN,
        )
    return value


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Checks that tensors have the expected names, shapes and types.

    Raises:
        ArtefactError: they do not; the message names the first difference.
    """
    for name in sorted(set(found) | set(expected)):
        wanted, given = _described(expected.get(name)), _described(found.get(name))
        if wanted != given:
            raise ArtefactError(
                f"expected tensor {shown(name)} of the checkpoint to be {wanted}, got {given}",
                hint=START_AGAIN,
            )


def _described(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{tuple(tensor.shape)} in {tensor.dtype}"
