"""Sessions that learn: like those of the library, once from each character, and across restarts."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from tests.serve.conftest import Server, Start
from tests.serve.loop import finish

import onward
from onward.artefact import Artefact
from onward.data.vocabulary import SymbolKind, Vocabulary
from onward.inference.adapt import Adapter
from onward.inference.prediction import initial_state
from onward.inference.session import Session
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.model import LanguageModel, ModelConfig
from onward.serve.engine.online_learning import LEARNING_SLICE, LearnedState, OnlineLearner
from onward.serve.engine.typed_text import TypedText
from onward.serve.sessions.document import Edit

NEW_TEXT = "so it is, and so it was before: a lane is a state that goes on, and on, and on. "
STEP = 8  # characters of an edit; they divide a learning slice
Json: TypeAlias = dict[str, Any]


def create(client: httpx.Client, **fields: Any) -> Json:
    response = client.post("/v1/sessions", json={"next": 100, **fields})
    assert response.status_code == 201, response.text
    return response.json()


def create_adapting(client: httpx.Client, **fields: Any) -> str:
    """The path of a new session that learns."""
    return f"/v1/sessions/{create(client, adapt=True, **fields)['id']}"


def edit(client: httpx.Client, path: str, **fields: Any) -> Json:
    response = client.post(f"{path}/edit", json=fields)
    assert response.status_code == 200, response.text
    return response.json()


def type_text(client: httpx.Client, path: str, text: str) -> Json:
    """The answer to the last of several edits."""
    return [edit(client, path, insert=text[i : i + STEP]) for i in range(0, len(text), STEP)][-1]


def probabilities(answer: Json) -> dict[str, float]:
    return {each["symbol"]: each["probability"] for each in answer["next"]}


def check_same(answer: Json, session: Session, tolerance: float = 5e-4) -> None:
    expected = dict(session.next_distribution().top(99))
    for symbol, probability in probabilities(answer).items():
        assert probability == pytest.approx(expected[symbol], abs=tolerance)


def adapter_of(session: Session) -> Adapter:
    assert session.adapter is not None
    return session.adapter


def adapted(model: Path, *texts: str) -> Session:
    """A session of the library that has learned from texts."""
    session = onward.load(model).session()
    session.adapt()
    for text in texts:
        session.feed(text)
    return session


def test_a_session_learns_like_one_of_the_library(server: Server, model: Path) -> None:
    path = create_adapting(server.client)
    answer = type_text(server.client, path, NEW_TEXT)
    session = adapted(model, NEW_TEXT)
    assert answer["learned"] == adapter_of(session).steps == len(NEW_TEXT) // LEARNING_SLICE
    check_same(answer, session)
    best = session.complete(n=3, until="word", shortest=2)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in best]
    static = create(server.client, text=NEW_TEXT)
    assert static["learned"] is None
    ours, theirs = probabilities(answer), probabilities(static)
    assert max(abs(ours[symbol] - theirs[symbol]) for symbol in ours) > 2e-3
    check_same(create(server.client, text=NEW_TEXT, adapt=True), session, tolerance=1e-3)


def test_deleted_characters_that_were_not_learned_yet_are_never_learned(server: Server, model: Path) -> None:
    path = create_adapting(server.client)
    type_text(server.client, path, NEW_TEXT[:40])
    edit(server.client, path, at=36, delete=4)  # within the second slice, which becomes four shorter
    answer = edit(server.client, path, at=20, delete=16)  # into the first slice, which was learned
    session = adapted(model, *(NEW_TEXT[i : i + STEP] for i in range(0, 40, STEP)))
    session.rollback(4)
    session.rollback(16)
    check_same(answer, session)
    assert answer["learned"] == 1
    session.feed(NEW_TEXT[40:])
    check_same(type_text(server.client, path, NEW_TEXT[40:]), session)


def test_text_that_is_read_again_is_not_learned_again(server: Server) -> None:
    path = create_adapting(server.client, text=NEW_TEXT)
    blocks = len(NEW_TEXT) // LEARNING_SLICE
    for cursor in (0, 70, 10, len(NEW_TEXT)):
        assert edit(server.client, path, at=cursor)["learned"] <= blocks
    assert edit(server.client, path)["learned"] == blocks
    assert edit(server.client, path, at=0, insert="x")["learned"] == blocks
    assert edit(server.client, path, at=len(NEW_TEXT) + 1)["learned"] == blocks


def test_forget_returns_to_the_model_as_it_was_trained(server: Server) -> None:
    path = create_adapting(server.client, text=NEW_TEXT)
    static = create(server.client, text=NEW_TEXT)
    answer = edit(server.client, path, forget=True)
    assert (answer["learned"], answer["version"]) == (0, 0)
    assert probabilities(answer) == pytest.approx(probabilities(static), abs=1e-5)
    assert type_text(server.client, path, NEW_TEXT)["learned"] == len(NEW_TEXT) // LEARNING_SLICE


def test_forget_is_refused_for_a_session_that_does_not_learn(server: Server) -> None:
    session = create(server.client, text=NEW_TEXT)
    response = server.client.post(f"/v1/sessions/{session['id']}/edit", json={"forget": True})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "forget")


@pytest.mark.slow
def test_learned_weights_survive_a_kill(start: Start, model: Path, tmp_path: Path) -> None:
    server = start(model, "--state", tmp_path / "sessions.db")
    path = create_adapting(server.client)
    before = type_text(server.client, path, NEW_TEXT)
    server.end(signal.SIGKILL)
    client = start(model, "--state", tmp_path / "sessions.db").client
    answer = edit(client, path)
    assert (answer["learned"], answer["version"]) == (before["learned"], before["version"])
    learned = NEW_TEXT[: len(NEW_TEXT) // LEARNING_SLICE * LEARNING_SLICE]
    session = onward.load(model).session()
    session.adapt(learned=adapter_of(adapted(model, learned)).to_bytes())
    session.feed(learned, learns=False)
    session.feed(NEW_TEXT[len(learned) :])
    check_same(answer, session)
    session.feed(NEW_TEXT)
    answer = type_text(client, path, NEW_TEXT)
    check_same(answer, session)
    assert answer["learned"] == 2 * len(NEW_TEXT) // LEARNING_SLICE


@pytest.mark.slow
def test_adapting_sessions_above_the_limit_are_refused(start: Start, model: Path) -> None:
    client = start(model, "--adapting", 1).client
    path = create_adapting(client)
    refused = client.post("/v1/sessions", json={"adapt": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (429, "adapt")
    assert refused.json()["error"]["code"] == "too_many_adapting"
    assert client.post("/v1/sessions", json={}).status_code == 201
    assert "onward_sessions_adapting 1" in client.get("/metrics").text
    client.delete(path)
    create_adapting(client)


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
@pytest.mark.parametrize("seed", range(3))
def test_each_typed_character_is_learned_once_and_everything_is_read(kind: SymbolKind, seed: int) -> None:
    rng, pieces = random.Random(seed), ["a", "bad cab. ", "é", " ", "face_", "h\n"]
    vocabulary = Vocabulary.of_text("".join(pieces) * 9, kind)
    model = LanguageModel(ModelConfig(symbols=len(vocabulary), layer="gated", width=8, layers=1)).eval()
    trained = TrainedModel(Artefact(model, vocabulary, {"name": "test"}, {"steps": 0}))
    learner = CountingLearner()
    typed, text, inserted = TypedText(trained, Stepper(model, initial_state(model, 1)), learner), "", 0
    for _ in range(40):
        at, insert = rng.randint(0, len(text)), "".join(rng.choices(pieces, k=rng.randint(0, 6)))
        text = Edit(at, rng.randint(0, min(9, len(text) - at)), insert, 0).apply(text)
        inserted += len(insert)
        cursor = rng.randint(0, len(text))
        finish(typed.read(text, cursor, at))
        fresh = TypedText(trained, Stepper(model, initial_state(model, 1)))
        assert typed.session.position == len(fresh.rewind(text, cursor, 0))
        if kind != "words":  # a part of a word may be new
            assert learner.characters <= inserted
    assert learner.characters > 0


class CountingLearner(OnlineLearner):
    """Counts the characters that are new."""

    characters = 0

    def slices(self, start: int, end: int, *, words: bool) -> Iterator[tuple[str, bool]]:
        for part, is_new in super().slices(start, end, words=words):
            self.characters += len(part) * is_new
            yield part, is_new


def test_learned_parts_of_a_text_are_known_after_edits() -> None:
    learner = OnlineLearner(LearnedState(b"", "abcdef", [(0, 2), (4, 6)]))
    learner.update_text("abXcdef")
    assert [*learner.slices(0, 7, words=False)] == [("ab", False), ("Xcd", True), ("ef", False)]
    assert [*learner.slices(0, 7, words=False)] == [("abXcdef", False)]
    learner.update_text("bXcdef")
    learner.update_text("bXcdefg")
    assert [*learner.slices(0, 7, words=False)] == [("bXcdef", False), ("g", True)]
    learner.update_text("one two")
    assert [*learner.slices(0, 7, words=True)] == [("one two", True)]
