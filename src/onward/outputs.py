"""The output files of a run: their names, what they may replace, and the lock that a run holds."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from onward.errors import BusyError, InputError, WriteError

WORKSPACE_FOLDER = ".onward"
"""Name of the folder for the model of a workspace (see `onward lsp`); training creates it."""


def checkpoint_path(output: Path) -> Path:
    """Returns the checkpoint file of a model: nietzsche.onward.checkpoint."""
    return output.with_name(f"{output.name}.checkpoint")


def log_path(output: Path) -> Path:
    """Returns the log file of a model: nietzsche.log.jsonl."""
    return _beside(output, ".log.jsonl")


def curves_path(output: Path) -> Path:
    """Returns the file of a model's loss curves: nietzsche.curves.png."""
    return _beside(output, ".curves.png")


def _beside(output: Path, suffix: str) -> Path:
    return output.with_name(output.name.removesuffix(".onward") + suffix)


def refuse_to_replace(output: Path, sources: Iterable[Path]) -> None:
    """Refuses to write a model over one of its sources, or over a file that is not a model.

    Raises:
        InputError: the output is a source, or an existing file that is not a model.
    """
    from onward.artefact import is_model  # noqa: PLC0415 - imports torch, which the functions above do not need

    refuse_to_replace_other(output, sources, is_model, "model")


def refuse_to_replace_other(
    output: Path, sources: Iterable[Path], is_ours: Callable[[Path], bool], kind: str
) -> None:
    """Refuses to write over a source, or over a file of another kind.

    Args:
        output: the file to write.
        sources: the files that it is made from.
        is_ours: returns whether a file is of the kind that is written.
        kind: the kind in words, such as "model".

    Raises:
        InputError: the output is a source, or an existing file of another kind.
    """
    if not output.is_file():
        return
    if any(output.samefile(source) for source in sources if source.exists()):
        raise InputError(
            f"{output} is a source: the {kind} would overwrite it", hint="name another file with -o"
        )
    if not is_ours(output):
        raise InputError(
            f"{output} exists and is not an onward {kind}: it would be overwritten",
            hint="name another file with -o, or delete it first",
        )


@contextmanager
def output_lock(output: Path) -> Iterator[None]:
    """Locks a model file for the duration of the block. A process that is killed releases its lock.

    Temporary files that killed runs left behind are removed first.

    Raises:
        BusyError: another process holds the lock.
        InputError: the output is a folder.
        WriteError: the output's folder does not exist or is not writable.
    """
    if output.is_dir():
        raise InputError(
            f"expected a file to write the model to, got the folder {output}",
            hint=f"name a file in it, such as {output / 'model.onward'}",
        )
    path = _in_real_folder(output.with_name(f"{output.name}.lock"))
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        if output.parent.name == WORKSPACE_FOLDER:
            output.parent.mkdir(exist_ok=True)
        path.parent.stat()  # filelock would create a missing folder
        lock.acquire()
    except Timeout as error:
        hint = "wait until it ends, or write to another file with -o"
        raise BusyError(f"another run is writing {output}", hint=hint) from error
    except OSError as error:
        raise WriteError.of(output, error) from error
    try:
        _remove_temporary_files(output)
        yield
    finally:
        if os.name != "nt":  # Windows cannot remove an open file; filelock removes it there after the release
            path.unlink(missing_ok=True)
        lock.release()


def _in_real_folder(path: Path) -> Path:
    """Returns a path without links in its folder. The file itself may be a link, which is replaced."""
    return Path(os.path.realpath(path.parent), path.name)


def _remove_temporary_files(output: Path) -> None:
    """Removes the temporary files (see `atomic_write`) of runs that were killed while they wrote."""
    for written in (output, checkpoint_path(output), curves_path(output)):
        file = _in_real_folder(written)
        for temporary in file.parent.glob(f".{glob.escape(file.name)}.????????.tmp"):
            with suppress(OSError):
                temporary.unlink()
