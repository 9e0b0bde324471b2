"""The thread that owns a model. Requests submit work to it, and wait on the event loop for the result.

The thread works in turns: first it answers the keystrokes that wait (several sessions in one batch), then it
advances all samples by one symbol, then it does one slice of long work (reading a prompt, scoring a text).
Nothing else touches the model, so the model needs no lock.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from onward.errors import OnwardError, RunError
from onward.inference.prediction import initial_state
from onward.inference.step.stepper import FEW_LANES, Stepper
from onward.inference.trained_model import TrainedModel
from onward.layers.state import select_lanes
from onward.serve.engine.batcher import Batcher, Lane, SampleRequest, TextChunk
from onward.serve.engine.keystrokes import Keystroke, Prediction, Predictor
from onward.serve.engine.outbox import Outbox
from onward.serve.engine.prompt_cache import PromptCache
from onward.serve.engine.prompt_state import PromptState
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.http.slots import Slots

T = TypeVar("T")
SlicedWork = Generator[None, None, T]
"""Work that yields after each slice, so that other requests get their turn, and returns its result."""

_LOG = logging.getLogger("onward.serve")


@dataclass(frozen=True)
class _SubmittedWork:
    """Long work and the future of its result."""

    work: SlicedWork[Any]
    future: asyncio.Future[Any]

    def run_slice(self, outbox: Outbox) -> bool:
        """Does one slice, and returns whether it was the last."""
        if self.future.cancelled():
            self.work.close()
            return True
        try:
            next(self.work)
            return False
        except StopIteration as stop:
            outbox.resolve(self.future, stop.value)
        except Exception as error:
            outbox.resolve(self.future, error)
        return True


class Engine:
    """A model and its thread.

    Args:
        trained: the model.
        limits: the number of lanes and of waiting requests.
        metrics: count the symbols that are generated.
        threads: threads of a step of many lanes; None: as many as PyTorch uses.

    Raises:
        InputError: the size of a session's memory in the limits is out of range.

    Attributes:
        trained: as given. Use it only in submitted work.
        stepper: stepper of the model, for sessions. Use it only in submitted work.
        session_memory: size of a session's memory in megabytes.
        prompts: the prompts that were read last, for infilling. Use it only in submitted work.
    """

    def __init__(
        self, trained: TrainedModel, limits: Limits, metrics: Metrics, *, threads: int | None = None
    ) -> None:
        self.trained = trained
        self.stepper = Stepper(trained.model, initial_state(trained.model, 1), threads=threads)
        self.session_memory = limits.session_memory
        trained.memory(self.session_memory)  # raises an error here if the size is out of range
        self.prompts = PromptCache(trained, self.stepper, self.session_memory)
        self._max_lanes, self._metrics = limits.lanes, metrics
        self._slots = Slots(limits.waiting, "requests wait for this model")
        self._predictor = Predictor(trained, self.stepper)
        self._batcher = Batcher(trained, self.stepper.fork())
        self._keystrokes: deque[tuple[Keystroke, asyncio.Future[Prediction]]] = deque()
        self._submitted: deque[_SubmittedWork] = deque()
        self._outbox = Outbox()
        self._wake = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._work, name="onward-model", daemon=True)

    @property
    def requests(self) -> int:
        """Requests that wait or are being worked on."""
        return self._slots.used

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after its current turn. Requests that still wait get an error."""
        with self._wake:
            self._is_stopping = True
            self._wake.notify()
        self._thread.join()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Counts a request until the block ends.

        Raises:
            ApiError: 429, too many requests wait; 503, the server is stopping.
        """
        if self._is_stopping:
            raise _stopping()
        with self._slots.take():
            yield

    async def predict(self, keystroke: Keystroke) -> Prediction:
        """Answers a keystroke.

        Raises:
            ApiError: see `slot`.
        """
        with self.slot():
            future: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
            with self._wake:
                self._keystrokes.append((keystroke, future))
                self._wake.notify()
            return await future

    async def run(self, work: SlicedWork[T]) -> T:
        """Runs long work on the model's thread, and returns its result.

        Raises:
            ApiError: see `slot`.
        """
        with self.slot():
            return await self._submit(work)

    async def write(
        self, prompt: PromptState, requests: Sequence[SampleRequest]
    ) -> AsyncGenerator[tuple[int, TextChunk], None]:
        """Generates samples of one prompt. Yields the index of a sample and its next piece.

        Raises:
            ApiError: see `slot`.
            RunError: the model failed.
        """
        inbox: asyncio.Queue[tuple[int, TextChunk | Exception]] = asyncio.Queue()
        lanes = [self._lane(i, request, prompt, inbox) for i, request in enumerate(requests)]
        with self.slot():
            work = self._write_alone(prompt, lanes) if prompt.stepper else self._admit(prompt, lanes)
            admission = asyncio.ensure_future(self._submit(work))
            admission.add_done_callback(lambda done: _forward_error(done, inbox))
            going = set(range(len(lanes)))
            try:
                while going:
                    i, chunk = await inbox.get()
                    if isinstance(chunk, Exception):
                        raise chunk
                    yield i, chunk
                    if chunk.ending:
                        going.discard(i)
            finally:
                for lane in lanes:
                    lane.cancel()
                admission.cancel()

    async def _submit(self, work: SlicedWork[T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._submitted.append(_SubmittedWork(work, future))
            self._wake.notify()
        return await future

    def _lane(
        self,
        index: int,
        request: SampleRequest,
        prompt: PromptState,
        inbox: asyncio.Queue[tuple[int, TextChunk | Exception]],
    ) -> Lane:
        loop = asyncio.get_running_loop()

        def deliver(chunk: TextChunk | Exception) -> None:
            self._outbox.post(loop, inbox.put_nowait, (index, chunk))

        return Lane(self.trained.vocabulary, request, deliver, prompt)

    def _admit(self, prompt: PromptState, lanes: list[Lane]) -> SlicedWork[None]:
        """Adds lanes to the batch as soon as it has free places."""
        waiting = deque(lanes)
        while waiting:
            room = self._max_lanes - len(self._batcher)
            _add(self._batcher, [waiting.popleft() for _ in range(min(room, len(waiting)))], prompt)
            if waiting:
                yield

    def _write_alone(self, prompt: PromptState, lanes: list[Lane]) -> SlicedWork[None]:
        """Generates samples with weights of their own, which cannot join the batch."""
        assert prompt.stepper
        batcher = Batcher(self.trained, prompt.stepper)
        _add(batcher, lanes, prompt)
        while batcher:
            self._metrics.symbols_written.inc(batcher.step())
            yield

    def _work(self) -> None:
        """The model's thread."""
        while self._wait():
            if self._keystrokes:
                self._answer_keystrokes()
            if self._batcher:
                self._step()
            if self._submitted:
                submitted = self._submitted.popleft()
                if not submitted.run_slice(self._outbox):
                    self._submitted.append(submitted)
            self._outbox.flush()
        self._fail_waiting()

    def _wait(self) -> bool:
        """Sleeps until there is work. Returns False when the engine stops."""
        with self._wake:
            while not (self._keystrokes or self._submitted or self._batcher or self._is_stopping):
                self._wake.wait()
            return not self._is_stopping

    def _answer_keystrokes(self) -> None:
        """Answers the keystrokes that wait: one by one in adapting sessions, and all others in one batch."""
        waiting = [self._keystrokes.popleft() for _ in range(min(FEW_LANES, len(self._keystrokes)))]
        waiting = [(keystroke, future) for keystroke, future in waiting if not future.cancelled()]
        batch = [each for each in waiting if not each[0].typed.adapts]
        single = [each for each in waiting if each[0].typed.adapts]
        for group in (batch, *([each] for each in single)):
            if group:
                self._answer(group)
                self._outbox.flush()

    def _answer(self, waiting: list[tuple[Keystroke, asyncio.Future[Prediction]]]) -> None:
        try:
            predictions = self._predictor.predict([keystroke for keystroke, _ in waiting])
        except Exception:
            _LOG.exception("keystrokes could not be answered")
            predictions = [_failed()] * len(waiting)
        for (_, future), prediction in zip(waiting, predictions, strict=True):
            self._outbox.resolve(future, prediction)

    def _step(self) -> None:
        try:
            self._metrics.symbols_written.inc(self._batcher.step())
        except OnwardError as error:
            self._batcher.fail(error)
        except Exception:
            _LOG.exception("a step of the model failed")
            self._batcher.fail(_failed())

    def _fail_waiting(self) -> None:
        for submitted in self._submitted:
            submitted.work.close()
            self._outbox.resolve(submitted.future, _stopping())
        for _, future in self._keystrokes:
            self._outbox.resolve(future, _stopping())
        self._batcher.fail(_stopping())
        self._outbox.flush()


def _add(batcher: Batcher, lanes: list[Lane], prompt: PromptState) -> None:
    """Adds lanes to a batch; one of no symbols ends at once."""
    going = [lane for lane in lanes if lane.needs_symbol]
    for lane in lanes:
        if lane.request.length == 0:
            lane.append([])
    if going:
        copies = torch.zeros(len(going), dtype=torch.int64)
        batcher.add(going, prompt.logits[copies.numpy()], select_lanes(prompt.state, copies))


def _forward_error(
    done: asyncio.Future[None], inbox: asyncio.Queue[tuple[int, TextChunk | Exception]]
) -> None:
    """Forwards the error of lanes that could not be admitted to the consumer of the samples."""
    if not done.cancelled() and isinstance(error := done.exception(), Exception):
        inbox.put_nowait((0, error))


def _failed() -> RunError:
    return RunError("the model failed", hint="see the server's log")


def _stopping() -> ApiError:
    return ApiError(503, "stopping", "the server is stopping", hint="try again in a minute")
