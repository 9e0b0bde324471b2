"""The model's part of a typing session."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeAlias

from onward.errors import ArtefactError
from onward.inference.scoring.protocol import Learn, learns_memory, learns_weights
from onward.serve.engine.keystrokes import CancellationToken, Keystroke, Prediction
from onward.serve.engine.online_learning import LearnedState, OnlineLearner
from onward.serve.engine.registry import ServedModel
from onward.serve.engine.typed_text import SLICE, TypedText
from onward.serve.sessions.document import Document
from onward.serve.sessions.store import SessionStore

_LOG = logging.getLogger("onward.serve")

Watch: TypeAlias = Callable[[Coroutine[Any, Any, int]], Awaitable[int]]
"""Does work on behalf of a client, and may end it early if the client leaves."""


class ModelFollower:
    """The states of a model that follows a document and, if the session adapts, its own weights.

    Both are loaded when they are first needed. The states can be dropped to save memory.

    Args:
        session_id: name of the session in the store.
        served: the model.
        store: the store that saves the learned weights; None: they are not saved.
        learn: what learns from the text.
    """

    def __init__(
        self, session_id: str, served: ServedModel, store: SessionStore | None, *, learn: Learn
    ) -> None:
        self._session_id, self._served, self._store = session_id, served, store
        self._learn: Learn = learn
        self._learner: OnlineLearner | None = None  # None: not loaded, or the session does not adapt
        self._typed: TypedText | None = None  # None: the text will be read again

    @property
    def learned_blocks(self) -> int | None:
        """Number of blocks that the session has learned; None if it does not adapt."""
        return self._learner.steps if self._learner else None

    def state_megabytes(self, text: str) -> float:
        """Returns the approximate size of the states, and of the text that was read, if it is not `text`."""
        return self._typed.megabytes(text) if self._typed else 0.0

    def learned_bytes(self, text: str) -> int:
        """Returns the bytes that note what was learned of a text; the weights are not counted."""
        return self._learner.text_bytes(text) if self._learner else 0

    def drop_states(self) -> None:
        """Frees the states; the text will be read again."""
        self._typed = None

    async def predict(
        self,
        document: Document,
        unchanged: int,
        cancellation: CancellationToken,
        *,
        forget: bool,
        watch: Watch,
    ) -> Prediction:
        """Reads the new text of a document, and predicts what follows at the cursor.

        Args:
            document: document of the session.
            unchanged: length of the beginning that is the same as before.
            cancellation: if cancelled, nothing is predicted.
            forget: whether to drop the learned weights first.
            watch: see `TypingSession.edit`.
        """
        typed = await self._load()
        engine, metrics = self._served.engine, self._served.metrics
        try:
            if typed.adapts or typed.characters_to_read(document.cursor, unchanged) > SLICE:
                reading = self._read(typed, document, unchanged, forget=forget)
                metrics.symbols_read.inc(await watch(reading))
                unchanged = len(document.text)
            prediction = await engine.predict(
                Keystroke(typed, document.text, document.cursor, unchanged, document.options, cancellation)
            )
        except BaseException:
            self._typed = None  # it may have read only a part
            raise
        metrics.symbols_read.inc(prediction.symbols_read)
        return prediction

    async def _load(self) -> TypedText:
        if learns_weights(self._learn) and self._learner is None:
            self._learner = OnlineLearner(await self._learned())
        if self._typed is None:
            engine = self._served.engine
            memory = engine.session_memory if learns_memory(self._learn) else 0
            self._typed = TypedText(self._served.trained, engine.stepper, self._learner, memory)
        return self._typed

    async def _learned(self) -> LearnedState | None:
        """Returns what the session has learned, as the store has it; None if that is nothing, or damaged."""
        try:
            return await self._store.learned(self._session_id) if self._store else None
        except ArtefactError as error:
            _LOG.warning("a session lost what it had learned: %s", error)
            return None

    async def _read(self, typed: TypedText, document: Document, unchanged: int, *, forget: bool) -> int:
        """Reads up to the cursor in slices, saves the learned weights, and returns the number of symbols."""
        learner = self._learner if self._store else None

        def work() -> Generator[None, None, tuple[int, LearnedState | None]]:
            if forget:
                typed.forget()
            symbols = yield from typed.read(document.text, document.cursor, unchanged)
            return symbols, learner.take_unsaved() if learner else None

        symbols, unsaved = await self._served.engine.run(work())
        if self._store and unsaved:
            await self._store.save_learned(self._session_id, unsaved)
        return symbols
