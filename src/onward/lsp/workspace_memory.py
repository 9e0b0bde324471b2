"""The memory of a workspace: it counts the text of all files, so that their names can be completed.

The files are read on a thread of their own, once. The memory that documents use is a copy, which is replaced
when files were read, or when the user goes from one document to another.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from onward.inference.trained_model import TrainedModel
from onward.lsp.files import text_files, text_of
from onward.memory.memory import Memory

MOST_CHARACTERS = 4_000_000
"""Number of characters of all files that are counted, from the files that were changed last."""

_PUBLISH_EVERY = 1_000_000  # characters

Report = Callable[[int, int], None]
"""Called with the number of files that were read, and of all files."""


class PublishedMemory(NamedTuple):
    """A copy of the workspace's memory, which does not change.

    Attributes:
        number: number of copies so far.
        memory: the copy.
    """

    number: int
    memory: Memory


class WorkspaceMemory:
    """Counts the texts of a workspace.

    Args:
        trained: the model.
        megabytes: size of the memory.

    Attributes:
        published: the last copy; None: nothing was counted.
    """

    def __init__(self, trained: TrainedModel, megabytes: float | int) -> None:
        memory = trained.memory(megabytes)
        assert memory
        self._memory, self._vocabulary = memory, trained.vocabulary
        self._lines = set[int]()  # hashes of the lines that were counted
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-workspace")
        self._is_stopping = threading.Event()
        self.published: PublishedMemory | None = None

    def read_files(self, roots: Sequence[Path], report: Report) -> None:
        """Reads the files of folders in the background.

        Args:
            roots: the folders.
            report: called on the background thread.
        """
        self._thread.submit(self._read_files, roots, report)

    def learn(self, text: str) -> None:
        """Counts the lines of a document that were not counted before, in the background."""
        self._thread.submit(self._learn, text)

    def stop(self) -> None:
        """Ends the thread after the current file."""
        self._is_stopping.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _read_files(self, roots: Sequence[Path], report: Report) -> None:
        chosen, characters = list[Path](), 0
        for path in (path for root in roots for path in text_files(root)):
            characters += path.stat().st_size if path.exists() else 0
            if characters > MOST_CHARACTERS:
                break
            chosen.append(path)
        unpublished = 0
        for number, path in enumerate(reversed(chosen)):  # the newest last, since a full memory forgets
            if self._is_stopping.is_set():
                return
            unpublished += self._count(text_of(path) or "")
            if unpublished > _PUBLISH_EVERY:
                self._publish()
                unpublished = 0
            report(number + 1, len(chosen))
        if unpublished:
            self._publish()
        if not chosen:
            report(0, 0)

    def _learn(self, text: str) -> None:
        new = [line for line in text.splitlines(keepends=True) if hash(line) not in self._lines]
        if self._count("".join(new)):
            self._publish()

    def _count(self, text: str) -> int:
        """Counts a text, and returns its length."""
        if text:
            self._lines.update(map(hash, text.splitlines(keepends=True)))
            self._memory.count(self._vocabulary.encode(text + "\n"))
        return len(text)

    def _publish(self) -> None:
        number = self.published.number + 1 if self.published else 1
        self.published = PublishedMemory(number, self._memory.fork())
