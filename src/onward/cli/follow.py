"""`onward complete --follow`: a typing session on standard input and output, as lines of JSON."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from onward.errors import OnwardError
from onward.inference.completion.boundaries import Until
from onward.inference.scoring.protocol import Learn
from onward.serve.api.requests import FollowRequest
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.engine.registry import ServedModel, load_models
from onward.serve.http.errors import ApiError, as_api_error, to_json
from onward.serve.http.json_text import dump
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.http.validation import read_model
from onward.serve.sessions.document import Document, DocumentChange
from onward.serve.sessions.typing_session import TypingSession


def follow(model: str, *, count: int, until: Until, learn: Learn, memory: float | int) -> None:
    """Answers each line of standard input until it ends. A wrong line gets an error as its answer.

    Args:
        model: path or name of the model.
        count, until: options of the answers, until a request changes them.
        learn, memory: what learns from the text, and the size of the memory in megabytes.

    Raises:
        ArtefactError: the model cannot be loaded.
        InputError: an option is out of range.
    """
    limits = Limits(session_memory=memory)
    served = load_models([Path(model)], limits, Metrics()).get(None)
    served.engine.start()
    try:
        with asyncio.Runner() as runner:
            document = Document(options=AnswerOptions(completions=count, until=until))
            conversation = _Conversation(served, limits, document, learn)
            for line in _lines(limits.body_bytes):
                answer = runner.run(conversation.answer(line))
                sys.stdout.write(dump(answer).decode() + "\n")
                sys.stdout.flush()
    finally:
        served.engine.stop()


def _lines(longest: int) -> Iterator[bytes]:
    """Yields the lines of standard input; only the beginning of one that is too long."""
    while line := sys.stdin.buffer.readline(longest + 2):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = sys.stdin.buffer.readline(longest)
        yield line.rstrip(b"\r\n")


class _Conversation:
    """The session that the lines change."""

    def __init__(self, served: ServedModel, limits: Limits, document: Document, learn: Learn) -> None:
        self._served, self._limits = served, limits
        self._learn: Learn = learn
        self._session = self._new(document)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """Returns the answer to a line."""
        try:
            if len(line) > self._limits.body_bytes:
                message = f"expected lines of at most {self._limits.body_bytes:,} bytes, got a longer one"
                raise ApiError(413, "too_large", message, hint="insert a long text in parts")
            asked = read_model(FollowRequest, line, self._limits)
            change = dict(asked)
            text = change.pop("text")
            if text is not None:
                document = replace(self._session.document, text=text, cursor=len(text), version=0)
                self._session = self._new(document)
            found = (await self._session.edit(DocumentChange(**change))).to_json()
        except OnwardError as error:
            return to_json(as_api_error(error))
        return {name: value for name, value in found.items() if name not in ("id", "model")}

    def _new(self, document: Document) -> TypingSession:
        return TypingSession(
            "follow",
            self._served,
            document,
            learn=self._learn,
            store=None,
            max_characters=self._limits.text_characters,
        )
