"""Samples in a batch equal samples generated alone, even if other samples join or leave."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from tests.serve.loop import finish

import onward
from onward.data.vocabulary import END
from onward.inference.prediction import initial_state
from onward.inference.step.sampling import Sampling
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.serve.engine import batcher as batcher_module
from onward.serve.engine.batcher import Batcher, Lane, SampleRequest, TextChunk
from onward.serve.engine.prefill import prefill

PROMPTS = ["the ", "lane", "", "goes on wh"]
REQUESTS = [
    SampleRequest(length=5 + 9 * i, seed=i, sampling=Sampling(temperature=0.4 + i / 4)) for i in range(4)
]


class Token(NamedTuple):
    """A symbol with its log-probability and its alternatives."""

    symbol: int
    nats: float
    top: list[tuple[int, float]]


class Received(NamedTuple):
    """All deliveries for a sample."""

    text: str
    tokens: list[Token]
    symbols: int
    ending: str | None


class Batch:
    """A batcher, and its deliveries for each sample."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self.batcher = Batcher(trained, Stepper(trained.model, initial_state(trained.model, 1)))
        self.delivered: list[list[TextChunk | Exception]] = []

    def add(self, prompts: Sequence[str], requests: Sequence[SampleRequest]) -> list[Lane]:
        added: list[Lane] = []
        for prompt, request in zip(prompts, requests, strict=True):
            inbox: list[TextChunk | Exception] = []
            self.delivered.append(inbox)
            added.append(Lane(self.trained.vocabulary, request, inbox.append))
            state, _ = finish(prefill(self.trained, self.trained.vocabulary.encode(prompt)))
            self.batcher.add(added[-1:], state.logits, state.state)
        return added

    def finish(self) -> list[Received]:
        while self.batcher:
            self.batcher.step()
        return [received(chunks) for chunks in self.delivered]


def received(chunks: Sequence[TextChunk | Exception]) -> Received:
    parts = [chunk for chunk in chunks if isinstance(chunk, TextChunk)]
    assert all(part.ending is None for part in parts[:-1])
    tokens = [
        Token(symbol, nats, [*zip(*top, strict=True)])
        for part in parts
        if part.tokens
        for symbol, nats, *top in zip(*(array.tolist() for array in part.tokens), strict=True)
    ]
    return Received("".join(part.text for part in parts), tokens, parts[-1].symbols, parts[-1].ending)


def alone(trained: TrainedModel, prompt: str, request: SampleRequest) -> Received:
    batch = Batch(trained)
    batch.add([prompt], [request])
    return batch.finish()[0]


@pytest.fixture(scope="module")
def trained(model: Path) -> TrainedModel:
    return onward.load(model)


def test_a_sample_that_joins_later_and_ends_earlier_is_the_same_as_alone(trained: TrainedModel) -> None:
    batch = Batch(trained)
    for prompt, request in zip(PROMPTS, REQUESTS, strict=True):
        batch.add([prompt], [request])
        for _ in range(3):
            batch.batcher.step()
    found = batch.finish()
    assert found == [alone(trained, *each) for each in zip(PROMPTS, REQUESTS, strict=True)]
    expected = [(request.length, "length") for request in REQUESTS]
    assert [(each.symbols, each.ending) for each in found] == expected


def test_samples_with_the_same_sampling_are_the_same_as_alone(trained: TrainedModel) -> None:
    batch, sampling = Batch(trained), Sampling(temperature=0.7)
    requests = [SampleRequest(length=12 + 5 * i, seed=i, sampling=sampling) for i in range(4)]
    requests[2] = replace(requests[2], logprobs=2, length=9)  # as long as it lasts, there is no fast path
    for prompt, request in zip(PROMPTS, requests, strict=True):
        batch.add([prompt], [request])
        for _ in range(3):
            batch.batcher.step()
    assert batch.finish() == [alone(trained, *each) for each in zip(PROMPTS, requests, strict=True)]


def test_a_batch_can_be_used_again_after_all_samples_have_ended(trained: TrainedModel) -> None:
    batch, request = Batch(trained), SampleRequest(length=7, seed=3)
    found: list[Received] = []
    for prompt in PROMPTS[:3]:
        batch.add([prompt], [request])
        found.append(batch.finish()[-1])
    assert found == [alone(trained, prompt, request) for prompt in PROMPTS[:3]]


def test_a_sample_is_the_text_that_the_library_writes(trained: TrainedModel) -> None:
    text = trained.write("the ", length=40, seed=4)
    assert alone(trained, "the ", SampleRequest(length=40, seed=4)).text == text


def test_a_sample_ends_before_its_stop_string(trained: TrainedModel) -> None:
    whole = alone(trained, "the ", SampleRequest(length=60, seed=4)).text
    stop = whole[20:23]
    found = alone(trained, "the ", SampleRequest(length=60, seed=4, stop=(stop, "no such text")))
    assert (found.text, found.ending) == (whole[: whole.index(stop)], "stop")


def test_a_sample_with_an_undelivered_stop_string_ends_once_when_another_joins(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "DELIVERY_SECONDS", 1e9)
    whole = alone(trained, "the ", SampleRequest(length=60, seed=4)).text
    requests = [
        SampleRequest(length=60, seed=4, stop=(whole[5:8],)),
        SampleRequest(length=90, seed=4),
        REQUESTS[0],
    ]
    prompts = ["the ", "the ", "lane"]
    batch = Batch(trained)
    batch.add(prompts[:2], requests[:2])
    for _ in range(13):  # the stop string is drawn, but nothing is delivered
        batch.batcher.step()
    batch.add(prompts[2:], requests[2:])
    assert len(batch.batcher) == 2
    found = batch.finish()
    assert found == [alone(trained, *each) for each in zip(prompts, requests, strict=True)]
    assert [part.ending for part in batch.delivered[0] if isinstance(part, TextChunk)].count("stop") == 1


def test_a_lane_delivers_nothing_after_its_end(trained: TrainedModel) -> None:
    chunks: list[TextChunk | Exception] = []
    lane = Lane(trained.vocabulary, SampleRequest(length=2), chunks.append)
    lane.left = 0
    for _ in range(2):
        lane.append(trained.vocabulary.encode("ab").tolist())
    lane.fail(RuntimeError("too late"))
    assert [chunk.ending for chunk in chunks if isinstance(chunk, TextChunk)] == ["length"]
    assert len(chunks) == 1


def test_a_cancelled_sample_leaves_when_another_joins(trained: TrainedModel) -> None:
    batch = Batch(trained)
    requests = [SampleRequest(length=40, seed=seed) for seed in (1, 2, 3)]
    first, _ = batch.add(PROMPTS[:2], requests[:2])
    first.cancel()
    batch.add(PROMPTS[2:3], requests[2:])
    assert len(batch.batcher) == 2
    while batch.batcher:
        batch.batcher.step()
    assert not batch.delivered[0]
    for i in (1, 2):
        assert received(batch.delivered[i]) == alone(trained, PROMPTS[i], requests[i])


def test_a_cancelled_sample_leaves_at_the_next_step_without_a_delivery(trained: TrainedModel) -> None:
    batch = Batch(trained)
    requests = [SampleRequest(length=40, seed=1), SampleRequest(length=40, seed=2)]
    first, _ = batch.add(PROMPTS[:2], requests)
    batch.batcher.step()
    first.cancel()
    before = list(batch.delivered[0])
    assert batch.batcher.step() == 2
    assert len(batch.batcher) == 1
    while batch.batcher:
        batch.batcher.step()
    assert batch.delivered[0] == before
    assert received(batch.delivered[1]) == alone(trained, PROMPTS[1], requests[1])


def test_log_probabilities_are_those_that_a_session_computes(trained: TrainedModel) -> None:
    request = SampleRequest(length=30, seed=5, logprobs=3, sampling=Sampling(temperature=0.5))
    found = alone(trained, "the ", request)
    session = trained.session(memory=0)
    session.feed("the ")
    nats = [float(session.feed(np.array([token.symbol]))[0]) for token in found.tokens]
    assert len(nats) == 30
    np.testing.assert_allclose([-token.nats for token in found.tokens], nats, atol=1e-4)
    assert all(len(token.top) == 3 and token.top[0][1] >= token.nats for token in found.tokens)
    assert trained.vocabulary.decode([token.symbol for token in found.tokens]) == found.text


def test_the_end_symbol_is_delivered_with_its_log_probability(trained: TrainedModel) -> None:
    ending = copy.deepcopy(trained)
    ending.artefact.facts.clear()  # as for a model whose training texts had ends
    assert ending.model.readout.bias is not None
    with torch.no_grad():
        ending.model.readout.bias[END] += 6
    found = alone(ending, "the ", SampleRequest(length=400, seed=1, logprobs=1))
    assert found.ending == "end"
    assert [token.symbol for token in found.tokens].index(END) == found.symbols == len(found.text)
    assert len(found.tokens) == found.symbols + 1
    assert found.tokens[-1].top[0][1] >= found.tokens[-1].nats


def test_after_an_error_the_batch_is_empty_and_can_be_used_again(trained: TrainedModel) -> None:
    batch = Batch(trained)
    cancelled, _ = batch.add(PROMPTS[:2], REQUESTS[2:])
    batch.batcher.step()
    cancelled.cancel()
    error = RuntimeError("broken")
    batch.batcher.fail(error)
    assert len(batch.batcher) == 0
    assert error not in batch.delivered[0]
    assert batch.delivered[1][-1] is error
    batch.add(PROMPTS[:1], REQUESTS[:1])
    batch.delivered = batch.delivered[-1:]
    assert batch.finish() == [alone(trained, PROMPTS[0], REQUESTS[0])]
