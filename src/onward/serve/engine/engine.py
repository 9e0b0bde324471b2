"""The one thread that owns a model: requests hand it work, and wait without keeping it.

Work is done in slices, between which others have their turn: first the keys that were typed, those of several
sessions together, then a step of the lanes that are written, then a slice of what is long (a prompt that is
read, a text that is scored). Nobody else touches the model, so nothing in it needs a lock.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch

from onward.errors import OnwardError, RunError
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import FEW_LANES, Stepper
from onward.inference.trained_model import TrainedModel
from onward.layers.state import State, select_lanes
from onward.serve.engine.batcher import Batcher, Lane, SampleRequest, TextChunk
from onward.serve.engine.keystrokes import Answer, Keyboard, Keystroke
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics

T = TypeVar("T")
Slices = Generator[None, None, T]
"""Work that yields between its slices, and returns its result."""

_LOG = logging.getLogger("onward.serve")


@dataclass(frozen=True)
class Primed:
    """Where samples begin: logits (1, V) after a prompt, and the state of one lane."""

    logits: np.ndarray
    state: State


@dataclass
class _Job:
    """Slices, and who waits for their result."""

    slices: Slices[Any]
    future: asyncio.Future[Any]

    def run(self, outbox: list["_Letter"]) -> bool:
        """Does a slice; whether that was the last."""
        if self.future.cancelled():
            self.slices.close()
            return True
        try:
            next(self.slices)
            return False
        except StopIteration as stop:
            outbox.append((_settle(self.future), stop.value))
        except Exception as caught:  # goes to the one who waits
            outbox.append((_settle(self.future), caught))
        return True


_Letter: TypeAlias = tuple[Callable[[Any], None], Any]
"""What the event loop is to call, with what."""


class Engine:
    """A model and its thread.

    Args:
        trained: the model.
        limits: how many lanes, and how many requests may wait.
        metrics: are told of the symbols that are written.
        threads: of a step of many lanes; None: as many as PyTorch uses.

    Attributes:
        trained: as given; to be used in the work that is handed over alone.
        stepper: of the model, for sessions.
        requests: those that wait or are worked on.
    """

    def __init__(
        self, trained: TrainedModel, limits: Limits, metrics: Metrics, *, threads: int | None = None
    ) -> None:
        self.trained = trained
        self.requests = 0
        self._limits, self._metrics = limits, metrics
        self.stepper = Stepper(trained.model, initial_state(trained.model, 1), threads=threads)
        self._keyboard = Keyboard(trained, self.stepper)
        self._lanes = Batcher(trained, self.stepper.twin())
        self._keys: deque[tuple[Keystroke, asyncio.Future[Answer]]] = deque()
        self._long: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._is_stopping = False
        self._outbox: list[_Letter] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="onward-model", daemon=True)

    def start(self) -> None:
        """Begins to work for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing now; who still waits is told."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join()

    async def type(self, key: Keystroke) -> Answer:
        """The answer to a key that was typed."""
        with self.place():
            future = asyncio.get_running_loop().create_future()
            with self._wake:
                self._keys.append((key, future))
                self._wake.notify()
            return await future

    async def run(self, slices: Slices[T]) -> T:
        """The result of something long."""
        with self.place():
            return await self._submit(slices)

    async def write(
        self, primed: Primed, orders: Sequence[SampleRequest]
    ) -> AsyncIterator[tuple[int, TextChunk]]:
        """Writes samples that begin alike: the number of a sample and what it gained, as it comes.

        Raises:
            RunError: the model gave no numbers.
            Refusal: there is no place, or the server stops.
        """
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        lanes = [self._lane(i, order, inbox) for i, order in enumerate(orders)]
        with self.place():
            admission = asyncio.ensure_future(self._submit(self._admit(primed, lanes)))
            admission.add_done_callback(lambda done: _pass_on(done, inbox))
            going = set(range(len(lanes)))
            try:
                while going:
                    message = await inbox.get()
                    if isinstance(message, Exception):
                        raise message
                    yield message
                    if message[1].ending:
                        going.discard(message[0])
            finally:
                for lane in lanes:
                    lane.is_wanted = False
                admission.cancel()

    @contextmanager
    def place(self) -> Generator[None]:
        """A place among the requests.

        Raises:
            Refusal: there is none.
        """
        if self._is_stopping:
            raise ApiError(503, "stopping", "the server is stopping", hint="try again in a minute")
        if self.requests >= self._limits.waiting:
            message = f"{self.requests} requests wait for this model, no more can"
            raise ApiError(429, "busy", message, hint="try again later", headers={"Retry-After": "1"})
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def _submit(self, slices: Slices[T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._long.append(_Job(slices, future))
            self._wake.notify()
        return await future

    def _lane(self, number: int, order: SampleRequest, inbox: asyncio.Queue[Any]) -> Lane:
        def deliver(gained: TextChunk | Exception) -> None:
            message = gained if isinstance(gained, Exception) else (number, gained)
            self._outbox.append((inbox.put_nowait, message))

        return Lane(self.trained.vocabulary, order, deliver)

    def _admit(self, primed: Primed, lanes: list[Lane]) -> Slices[None]:
        """Lets lanes in where there is room."""
        waiting = deque(lanes)
        while waiting:
            room = self._limits.lanes - len(self._lanes)
            group = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            going = [lane for lane in group if lane.is_going]
            for lane in group:
                if lane.order.length == 0:
                    lane.gain([])
            if going:
                first = torch.zeros(len(going), dtype=torch.int64)
                self._lanes.add(going, primed.logits[first.numpy()], select_lanes(primed.state, first))
            if waiting:
                yield

    def _work(self) -> None:
        """The thread."""
        while self._wait():
            if self._keys:
                self._type()
            if self._lanes:
                self._step()
            if self._long:
                job = self._long.popleft()
                if not job.run(self._outbox):
                    self._long.append(job)
            self._send()
        self._end()

    def _wait(self) -> bool:
        """Sleeps until there is work; whether there is."""
        with self._wake:
            while not (self._keys or self._long or self._lanes or self._is_stopping):
                self._wake.wait()
            return not self._is_stopping

    def _type(self) -> None:
        """Answers the keys that wait, as many as go into a step; then, one by one, those that learn."""
        waiting = [self._keys.popleft() for _ in range(min(FEW_LANES, len(self._keys)))]
        waiting = [(key, future) for key, future in waiting if not future.cancelled()]
        together = [each for each in waiting if each[0].typed.learner is None]
        alone = [each for each in waiting if each[0].typed.learner is not None]
        for group in (together, *([each] for each in alone)):
            if group:
                self._answer(group)
                self._send()

    def _answer(self, waiting: list[tuple[Keystroke, asyncio.Future[Answer]]]) -> None:
        try:
            answers = self._keyboard.answer([key for key, _ in waiting])
        except Exception:
            _LOG.exception("keys could not be answered")
            answers = [_failed()] * len(waiting)
        self._outbox += [(_settle(future), said) for (_, future), said in zip(waiting, answers, strict=True)]

    def _step(self) -> None:
        try:
            self._metrics.symbols_written.inc(self._lanes.step())
        except Exception as error:
            if not isinstance(error, OnwardError):
                _LOG.exception("a step failed")
            told = error if isinstance(error, OnwardError) else _failed()
            for lane in self._lanes.drop():
                lane.fail(told)

    def _send(self) -> None:
        """Hands what was delivered to the event loop, all at once."""
        if self._outbox and self._loop:
            letters, self._outbox = self._outbox, []
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_open, letters)

    def _end(self) -> None:
        """Tells who still waits that nothing comes."""
        for job in self._long:
            job.slices.close()
            self._outbox.append((_settle(job.future), _stopped()))
        self._outbox += [(_settle(future), _stopped()) for _, future in self._keys]
        for lane in self._lanes.drop():
            lane.fail(_stopped())
        self._send()


def _open(letters: list[_Letter]) -> None:
    for function, message in letters:
        function(message)


def _settle(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    """Gives a future its result, or its error, unless who waited has gone."""

    def settle(result: Any) -> None:
        if future.done():
            return
        future.set_exception(result) if isinstance(result, Exception) else future.set_result(result)

    return settle


def _pass_on(done: asyncio.Future[Any], inbox: asyncio.Queue[Any]) -> None:
    """Tells who reads an inbox, and does not await what is done, if it failed."""
    if not done.cancelled() and (error := done.exception()):
        inbox.put_nowait(error)


def _failed() -> RunError:
    return RunError("the model failed", hint="the log of the server says why")


def _stopped() -> ApiError:
    return ApiError(503, "stopping", "the server is stopping", hint="try again in a minute")
