"""Lanes that join and leave between steps: each gets what it would get alone."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

import onward
from onward.data.vocabulary import END
from onward.inference.step.sampling import Sampling
from onward.inference.trained_model import TrainedModel
from onward.serve.engine import batcher as lanes
from onward.serve.engine.batcher import Batcher, Lane, SampleRequest, TextChunk
from onward.serve.engine.engine import Primed
from onward.serve.engine.prefill import read
from onward.serve.engine.tokens import Token

PROMPTS = ["the ", "lane", "", "goes on wh"]
ORDERS = [
    SampleRequest(length=5 + 9 * i, seed=i, sampling=Sampling(temperature=0.4 + i / 4)) for i in range(4)
]


class Written(NamedTuple):
    """What a lane was given in all."""

    text: str
    tokens: list[Token]
    symbols: int
    ending: str | None


class Scene:
    """The lanes of a model, and what is delivered to each."""

    def __init__(self, trained: TrainedModel) -> None:
        self.trained = trained
        self.lanes = Batcher(trained, trained.session()._stepper.twin())
        self.delivered: list[list[TextChunk | Exception]] = []

    def add(self, prompts: Sequence[str], orders: Sequence[SampleRequest]) -> list[Lane]:
        added = []
        for prompt, order in zip(prompts, orders, strict=True):
            inbox: list[TextChunk | Exception] = []
            self.delivered.append(inbox)
            added.append(Lane(self.trained.vocabulary, order, inbox.append))
            primed = primed_by(self.trained, prompt)
            self.lanes.add(added[-1:], primed.logits, primed.state)
        return added

    def finish(self) -> list[Written]:
        while self.lanes:
            self.lanes.step()
        return [written(pieces) for pieces in self.delivered]


def primed_by(trained: TrainedModel, prompt: str) -> Primed:
    slices = read(trained, trained.vocabulary.encode(prompt))
    while True:
        try:
            next(slices)
        except StopIteration as stop:
            return stop.value[0]


def written(pieces: Sequence[TextChunk | Exception]) -> Written:
    parts = [piece for piece in pieces if isinstance(piece, TextChunk)]
    assert all(part.ending is None for part in parts[:-1])
    tokens = [token for part in parts for token in part.tokens]
    return Written("".join(part.text for part in parts), tokens, parts[-1].symbols, parts[-1].ending)


@pytest.fixture(scope="module")
def trained(model) -> TrainedModel:
    return onward.load(model)


def alone(trained: TrainedModel, prompt: str, order: SampleRequest) -> Written:
    scene = Scene(trained)
    scene.add([prompt], [order])
    return scene.finish()[0]


def test_who_joins_later_and_leaves_sooner_gets_what_it_would_get_alone(trained: TrainedModel) -> None:
    scene = Scene(trained)
    for prompt, order in zip(PROMPTS, ORDERS, strict=True):
        scene.add([prompt], [order])
        for _ in range(3):
            scene.lanes.step()
    found = scene.finish()
    assert found == [alone(trained, *each) for each in zip(PROMPTS, ORDERS, strict=True)]
    assert [(each.symbols, each.ending) for each in found] == [(order.length, "length") for order in ORDERS]


def test_who_draws_alike_gets_what_it_would_get_alone(trained: TrainedModel) -> None:
    scene, sampling = Scene(trained), Sampling(temperature=0.7)
    orders = [SampleRequest(length=12 + 5 * i, seed=i, sampling=sampling) for i in range(4)]
    orders[2] = replace(orders[2], logprobs=2, length=9)  # while it is there, none is drawn for in one call
    for prompt, order in zip(PROMPTS, orders, strict=True):
        scene.add([prompt], [order])
        for _ in range(3):
            scene.lanes.step()
    assert scene.finish() == [alone(trained, *each) for each in zip(PROMPTS, orders, strict=True)]


def test_who_comes_after_the_last_has_ended_begins_anew(trained: TrainedModel) -> None:
    scene, order = Scene(trained), SampleRequest(length=7, seed=3)
    found = []
    for prompt in PROMPTS[:3]:
        scene.add([prompt], [order])
        found.append(scene.finish()[-1])
    assert found == [alone(trained, prompt, order) for prompt in PROMPTS[:3]]


def test_a_lane_ends_before_its_stop_string(trained: TrainedModel) -> None:
    whole = alone(trained, "the ", SampleRequest(length=60, seed=4)).text
    stop = whole[20:23]
    found = alone(trained, "the ", SampleRequest(length=60, seed=4, stop=(stop, "no such text")))
    assert (found.text, found.ending) == (whole[: whole.index(stop)], "stop")


def test_a_lane_that_ended_before_another_joins_ends_once(
    trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "TICK", 1e9)
    whole = alone(trained, "the ", SampleRequest(length=60, seed=4)).text
    orders = [
        SampleRequest(length=60, seed=4, stop=(whole[5:8],)),
        SampleRequest(length=90, seed=4),
        ORDERS[0],
    ]
    prompts = ["the ", "the ", "lane"]
    scene = Scene(trained)
    scene.add(prompts[:2], orders[:2])
    for _ in range(13):  # the stop string comes, and is not seen before the next joins
        scene.lanes.step()
    scene.add(prompts[2:], orders[2:])
    assert len(scene.lanes) == 2
    found = scene.finish()
    assert found == [alone(trained, *each) for each in zip(prompts, orders, strict=True)]
    assert [part.ending for part in scene.delivered[0] if isinstance(part, TextChunk)].count("stop") == 1


def test_nothing_is_said_after_the_end(trained: TrainedModel) -> None:
    pieces: list[TextChunk | Exception] = []
    lane = Lane(trained.vocabulary, SampleRequest(length=2), pieces.append)
    lane.left = 0
    for _ in range(2):
        lane.gain(trained.vocabulary.encode("ab").tolist())
    lane.fail(RuntimeError("too late"))
    assert [piece.ending for piece in pieces if isinstance(piece, TextChunk)] == ["length"]
    assert len(pieces) == 1


def test_who_is_not_wanted_any_more_leaves_when_another_joins(trained: TrainedModel) -> None:
    scene = Scene(trained)
    first, _ = scene.add(PROMPTS[:2], [SampleRequest(length=40, seed=1), SampleRequest(length=40, seed=2)])
    first.is_wanted = False
    scene.add(PROMPTS[2:3], [SampleRequest(length=40, seed=3)])
    assert len(scene.lanes) == 2
    while scene.lanes:
        scene.lanes.step()
    assert not scene.delivered[0]
    for i in (1, 2):
        assert written(scene.delivered[i]) == alone(trained, PROMPTS[i], SampleRequest(length=40, seed=i + 1))


def test_log_probabilities_are_those_before_a_symbol_was_drawn(trained: TrainedModel) -> None:
    found = alone(
        trained, "the ", SampleRequest(length=30, seed=5, logprobs=3, sampling=Sampling(temperature=0.5))
    )
    session = trained.session()
    session.feed("the ")
    nats = [float(session.feed(np.array([token.symbol]))[0]) for token in found.tokens]
    assert len(nats) == 30
    np.testing.assert_allclose([-token.nats for token in found.tokens], nats, atol=1e-4)
    assert all(len(token.top) == 3 and token.top[0][1] >= token.nats for token in found.tokens)
    assert trained.vocabulary.decode([token.symbol for token in found.tokens]) == found.text


def test_the_end_that_is_drawn_is_told_with_its_log_probability(trained: TrainedModel) -> None:
    ended = copy.deepcopy(trained)
    ended.artefact.facts.clear()  # of a model that saw texts end
    assert ended.model.readout.bias is not None
    with torch.no_grad():
        ended.model.readout.bias[END] += 6
    found = alone(ended, "the ", SampleRequest(length=400, seed=1, logprobs=1))
    assert found.ending == "end"
    assert [token.symbol for token in found.tokens].index(END) == found.symbols == len(found.text)
    assert len(found.tokens) == found.symbols + 1
    assert found.tokens[-1].top[0][1] >= found.tokens[-1].nats


def test_who_is_not_wanted_leaves_without_a_word(trained: TrainedModel) -> None:
    scene = Scene(trained)
    first, _ = scene.add(PROMPTS[:2], [SampleRequest(length=40, seed=1), SampleRequest(length=40, seed=2)])
    scene.lanes.step()
    first.is_wanted = False
    told = list(scene.delivered[0])
    assert scene.lanes.step() == 2
    assert len(scene.lanes) == 1
    while scene.lanes:
        scene.lanes.step()
    assert scene.delivered[0] == told
    assert written(scene.delivered[1]) == alone(trained, PROMPTS[1], SampleRequest(length=40, seed=2))


def test_lanes_that_are_dropped_can_be_told_why(trained: TrainedModel) -> None:
    scene = Scene(trained)
    added = scene.add(PROMPTS[:2], ORDERS[2:])
    scene.lanes.step()
    dropped = scene.lanes.drop()
    assert dropped == added
    assert len(scene.lanes) == 0
    added[0].is_wanted = False
    error = RuntimeError("broken")
    for lane in dropped:
        lane.fail(error)
    assert error not in scene.delivered[0]
    assert scene.delivered[1][-1] is error
    scene.add(PROMPTS[:1], ORDERS[:1])  # and the next begins as if they had not been
    scene.delivered = scene.delivered[-1:]
    assert scene.finish() == [alone(trained, PROMPTS[0], ORDERS[0])]
