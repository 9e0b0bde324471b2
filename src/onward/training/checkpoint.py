"""Where a run stands, in one file: everything that a resumed run needs to end with the same bytes.

A safetensors file beside the model, `MODEL.checkpoint`: tensors, and one JSON object in its header. It is
written whole or not at all, and refused when it is damaged or of another run.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.artefact import check_header, digest_of
from onward.atomic import atomic_write
from onward.errors import ArtefactError, BusyError

FORMAT = 1
_KEY = "onward-checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a run.

    Attributes:
        tensors: weights, optimiser, recurrent state, random state and best weights, by name.
        facts: the rest, as plain values.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint of a model lies."""
    return output.with_name(f"{output.name}.checkpoint")


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the file, whole or not at all.

    Raises:
        WriteError: the disk refused; an older checkpoint is untouched.
    """
    header = {"format": FORMAT, "sha256": digest_of(checkpoint.tensors), "facts": checkpoint.facts}
    content = to_safetensors(checkpoint.tensors, {_KEY: json.dumps(header, sort_keys=True)})
    with atomic_write(path) as file:
        file.write(content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads the file.

    Raises:
        ArtefactError: it is damaged, or not a checkpoint of this version.
    """
    check_header(path)
    content = path.read_bytes()
    try:
        tensors = from_safetensors(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"][_KEY])
        version, digest, facts = header["format"], header["sha256"], header["facts"]
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(
            f"{path} is not a checkpoint: {error}", hint=f"delete {path} to start anew"
        ) from error
    if version != FORMAT or digest != digest_of(tensors):
        found = f"format {version}" if version != FORMAT else "values that are not those that were saved"
        raise ArtefactError(f"{path} has {found}", hint=f"delete {path} to start anew")
    return Checkpoint(tensors, facts)


@contextmanager
def output_lock(output: Path) -> Iterator[None]:
    """Holds the right to write a model; it ends with the block, or with the process, however that ends.

    Raises:
        BusyError: another process holds it.
    """
    path = output.with_name(f"{output.name}.lock")
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            hint = "wait until it ends, or write to another file with -o"
            raise BusyError(f"another run is writing {output}", hint=hint) from error
        if path.exists() and path.stat().st_ino == os.fstat(lock).st_ino:
            break
        os.close(lock)  # the holder before us ended, and took the file with it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)
