"""Where a run stands, in one file: everything that a resumed run needs to end with the same bytes.

A safetensors file beside the model, `MODEL.checkpoint`: tensors, and one JSON object in its header. It is
written whole or not at all, and refused when it is damaged or of another run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.artefact import check_header, digest_of, header_digest
from onward.atomic import atomic_write
from onward.errors import ArtefactError

FORMAT = 2
ANEW = "begin anew without --resume"
_KEY = "onward-checkpoint"
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a run.

    Attributes:
        tensors: by name; a name may begin with those of the groups it belongs to, as in "run/weights/a.b".
        facts: the rest, as plain values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the file, whole or not at all.

    Raises:
        WriteError: the disk refused; an older checkpoint is untouched.
    """
    header = {"format": FORMAT, "sha256": digest_of(checkpoint.tensors), "facts": checkpoint.facts}
    header["header_sha256"] = header_digest(header)
    content = to_safetensors(checkpoint.tensors, {_KEY: json.dumps(header, sort_keys=True)})
    with atomic_write(path) as file:
        file.write(content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads the file.

    Raises:
        ArtefactError: it is damaged, or not a checkpoint of this version.
    """
    with _refused(path):
        check_header(path, "checkpoint")
        content = path.read_bytes()
        tensors = from_safetensors(content)
        header = _header(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if header["sha256"] != digest_of(tensors):
            raise ArtefactError(f"the values in {path} are not those that were saved")
        return Checkpoint(tensors, header["facts"])


def load_facts(path: Path) -> dict[str, Any]:
    """The facts alone, without the tensors.

    Raises:
        ArtefactError: as for `load_checkpoint`, but for what is only seen in the tensors.
    """
    with _refused(path):
        check_header(path, "checkpoint")
        with path.open("rb") as file:
            return _header(file.read(int.from_bytes(file.read(8), "little")))["facts"]


def _header(content: bytes) -> dict[str, Any]:
    """What a checkpoint says of itself."""
    header = json.loads(json.loads(content)["__metadata__"][_KEY])
    if header["format"] != FORMAT:
        raise ValueError(f"it has format {header['format']!r}, expected {FORMAT}")
    if not isinstance(header["facts"], dict):
        raise TypeError("its facts are none")
    if header["header_sha256"] != header_digest(header):
        raise ValueError("its facts are not those that were saved")
    return header


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turns whatever can be wrong with a file into one error with one remedy."""
    hint = f"delete {path} to begin anew"
    try:
        yield
    except ArtefactError as error:
        raise ArtefactError(str(error), hint=hint) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise ArtefactError(f"{path} is not a whole checkpoint: {error}", hint=hint) from error


def grouped(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, their names behind that of their group."""
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def group_of(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a group, by their own names: `grouped` undone."""
    return {key.removeprefix(f"{group}/"): t for key, t in tensors.items() if key.startswith(f"{group}/")}


def take(facts: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    """A fact of a checkpoint.

    Raises:
        ArtefactError: it is missing, or of another type.
    """
    value = facts.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ArtefactError(
            f"the checkpoint should say {name} as {kind.__name__}, found {value!r}", hint=ANEW
        )
    return value


def check_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuses tensors that are not, by name, shape and type, those that are expected.

    Raises:
        ArtefactError: with the first that differs.
    """
    for name in sorted(set(found) | set(expected)):
        wanted, given = _form(expected.get(name)), _form(found.get(name))
        if wanted != given:
            raise ArtefactError(
                f"tensor {name} of the checkpoint should be {wanted}, found {given}", hint=ANEW
            )


def _form(tensor: Tensor | None) -> str:
    """A tensor's shape and type in words."""
    return "absent" if tensor is None else f"{tuple(tensor.shape)} in {tensor.dtype}"
