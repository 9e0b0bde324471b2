"""The files that a run leaves beside its model, by the model's name."""

from pathlib import Path


def checkpoint_path(output: Path) -> Path:
    """Where the checkpoint lies while the model is trained: nietzsche.onward.checkpoint."""
    return output.with_name(f"{output.name}.checkpoint")


def log_path(output: Path) -> Path:
    """Where the log lies: nietzsche.log.jsonl."""
    return _beside(output, ".log.jsonl")


def curves_path(output: Path) -> Path:
    """Where the picture of the losses lies: nietzsche.curves.png."""
    return _beside(output, ".curves.png")


def _beside(output: Path, suffix: str) -> Path:
    """A file that shares the model's name but for our own suffix."""
    return output.with_name(output.name.removesuffix(".onward") + suffix)
