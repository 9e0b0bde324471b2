"""Finds suggestions for open documents: ghost text, and a list of words."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from onward.errors import InputError
from onward.inference.completion.certain import certain
from onward.inference.completion.infill import HEAD, InfillOptions, infill
from onward.inference.completion.options import CompleteOptions, Completion
from onward.inference.completion.search import complete
from onward.inference.trained_model import TrainedModel
from onward.lsp.document import OpenDocument
from onward.lsp.settings import Settings
from onward.lsp.workspace_memory import WorkspaceMemory
from onward.serve.engine.engine import Engine, SlicedWork
from onward.serve.engine.prompt_cache import CachedPrompt
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics

PROMPT_CHARACTERS = 8192
"""Number of characters before the cursor that the model reads, if it has not read more of them before."""

MOST_READ = 4
"""Number of documents whose states are kept; the model reads another document again."""

_MOST_SHOWN = 120  # symbols of ghost text
_INFILL_SECONDS, _BEAM = 0.05, 4  # of the search within a line
_AFTER_LINE = 4  # characters after the line that the model reads in this search
_LEAST_LISTED = 0.01  # probability of a word in the list

T = TypeVar("T")


@dataclass
class _Read:
    """What the model has read of a document.

    Attributes:
        prompt: the part that was read.
        lock: held while the model reads.
        background: number of the workspace's memory that it has counted.
        ghost_texts: number of requests for ghost text; only the newest is answered.
    """

    prompt: CachedPrompt
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    background: int = 0
    ghost_texts: int = 0


class Suggester:
    """A model that completes open documents.

    Args:
        trained: the model.
        megabytes: size of the memory of the workspace, and of each document that is read; 0 turns both off.

    Raises:
        InputError: the symbols of the model are words, or the size is out of range.

    Attributes:
        workspace: the memory that all documents share; None: no memory.
    """

    def __init__(self, trained: TrainedModel, megabytes: float | int) -> None:
        if trained.vocabulary.kind == "words":
            raise InputError(
                "expected a model of characters or bytes, got one of words",
                hint="train it without --words, or use python or english",
            )
        self._trained, self._megabytes = trained, megabytes
        self._engine = Engine(trained, Limits(session_memory=megabytes), Metrics())
        self.workspace = WorkspaceMemory(trained, megabytes) if megabytes else None
        self._read: OrderedDict[str, _Read] = OrderedDict()  # by URI, the least recently used first
        self._last: OpenDocument | None = None
        self._engine.start()

    def stop(self) -> None:
        """Ends the threads."""
        if self.workspace:
            self.workspace.stop()
        self._engine.stop()

    def close(self, uri: str) -> None:
        """Frees what was read of a document."""
        self._read.pop(uri, None)

    async def ghost_text(self, document: OpenDocument, offset: int, settings: Settings) -> str:
        """Returns the text to show at a place; "" if none is likely enough."""
        text = document.text
        line_start = max(text.rfind(end, 0, offset) for end in "\r\n") + 1
        end = _line_end(text, offset)
        is_within_line = not text[offset:end].isspace() and end > offset
        suffix = text[offset : end + _AFTER_LINE].replace("\r\n", "\n") if is_within_line else ""

        def search() -> SlicedWork[Completion]:
            found = yield from self._find(read, settings, suffix)
            return found

        read = self._take(document)
        read.ghost_texts += 1
        number = read.ghost_texts
        found = await self._run(document, read, offset, search, lambda: read.ghost_texts == number)
        if (
            found is None
            or found.probability < settings.probability
            or len(found.text) < settings.shortest
            or not found.text.strip()
            or not found.text.replace("\t", "").isprintable()
            or _repeats_next_line(text[line_start:offset] + found.text, text, offset)
        ):
            return ""
        return found.text

    async def words(self, document: OpenDocument, offset: int, settings: Settings) -> Sequence[Completion]:
        """Returns the likeliest words at a place, each with the part that was typed."""
        options = CompleteOptions(n=settings.words, shortest=settings.shortest, floor=_LEAST_LISTED)

        def search() -> SlicedWork[Sequence[Completion]]:
            yield
            start = read.prompt.typed.session.search_start(options)
            return complete(self._engine.stepper, self._trained.vocabulary, [start])[0].best

        read = self._take(document)
        found = await self._run(document, read, offset, search, lambda: True) or ()
        typed = document.typed_word(offset)
        return [Completion(typed + one.text, one.probability) for one in found]

    def _take(self, document: OpenDocument) -> _Read:
        """Returns what was read of a document. The memory of the workspace counts the one before it."""
        is_other = self._last and self._last is not document and self._last.can_suggest
        if self.workspace and self._last and is_other:
            self.workspace.learn(self._last.text)
        self._last = document
        if document.uri not in self._read:
            prompt = CachedPrompt(self._trained, self._engine.stepper, self._megabytes)
            self._read[document.uri] = _Read(prompt)
            while len(self._read) > MOST_READ:
                self._read.popitem(last=False)
        self._read.move_to_end(document.uri)
        return self._read[document.uri]

    async def _run(
        self,
        document: OpenDocument,
        read: _Read,
        offset: int,
        search: Callable[[], SlicedWork[T]],
        is_wanted: Callable[[], bool],
    ) -> T | None:
        """Reads a document up to a place, and searches.

        Returns None if the document has changed meanwhile, or the answer is not wanted any more.
        """
        revision = document.revision
        start = max(0, offset - PROMPT_CHARACTERS)
        start = document.text.find("\n", start, offset) + 1 if start else 0
        prompt = document.text[start:offset].replace("\r\n", "\n")

        def work() -> SlicedWork[T | None]:
            background = self.workspace.published if self.workspace else None
            if background and background.number != read.background:
                read.prompt.typed.remember(background.memory)
                read.background = background.number
            yield from read.prompt.read(prompt)
            if document.revision != revision or not is_wanted():
                return None
            return (yield from search())

        async def alone() -> T | None:
            async with read.lock:
                if document.revision != revision or not is_wanted():
                    return None
                try:
                    return await self._engine.run(work())
                except BaseException:
                    self._read.pop(document.uri, None)  # it may have read only a part
                    raise

        # A client may cancel a request at any time; the model then finishes reading.
        found = await asyncio.shield(alone())
        return found if document.revision == revision else None

    def _find(self, read: _Read, settings: Settings, suffix: str) -> SlicedWork[Completion]:
        """Finds the ghost text after what was read."""
        stepper, vocabulary = self._engine.stepper, self._trained.vocabulary
        session = read.prompt.typed.session
        if suffix:
            options = InfillOptions(n=1, length=_MOST_SHOWN, seconds=_INFILL_SECONDS, beam=_BEAM)
            start = session.search_start(CompleteOptions())
            found = yield from infill(stepper, vocabulary, start, vocabulary.encode(suffix)[:HEAD], options)
            return found[0] if found else Completion("", 1.0)
        if settings.length == "certain":
            start = session.search_start(CompleteOptions())
            return (yield from certain(stepper, vocabulary, start, settings.probability, _MOST_SHOWN))
        options = CompleteOptions(
            n=1, until=settings.length, shortest=settings.shortest, floor=min(settings.probability, 0.99)
        )
        best = complete(stepper, vocabulary, [session.search_start(options)])[0].best
        return best[0] if best else Completion("", 1.0)


def _line_end(text: str, offset: int) -> int:
    """Returns the end of the line at a place."""
    ends = [found for end in "\r\n" if (found := text.find(end, offset)) >= 0]
    return min(ends, default=len(text))


def _repeats_next_line(line: str, text: str, offset: int) -> bool:
    """Whether a line is the same as the next one that is not blank."""
    following = text[_line_end(text, offset) :].lstrip()
    return bool(following) and following[: _line_end(following, 0)].strip() == line.strip()
