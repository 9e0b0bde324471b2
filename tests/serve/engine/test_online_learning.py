"""Sessions that learn: as those of the library do, from each character once, and beyond a kill."""

import random
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import onward
from onward.artefact import Artefact
from onward.data.vocabulary import Vocabulary
from onward.inference.prediction import initial_state
from onward.inference.session import Session
from onward.inference.step.stepper import Stepper
from onward.inference.trained_model import TrainedModel
from onward.model import LanguageModel, ModelConfig
from onward.serve.engine.online_learning import LESSON, Learned, OnlineLearner
from onward.serve.engine.typed_text import Edit, TypedText

NEW = "so it is, and so it was before: a lane is a state that goes on, and on, and on. "
STEP = 8  # characters of an edit; they divide a lesson


def begin(client: Any, **fields: Any) -> str:
    answer = client.post("/v1/sessions", json={"adapt": True, "next": 100, **fields})
    assert answer.status_code == 201, answer.text
    return f"/v1/sessions/{answer.json()['id']}"


def edit(client: Any, path: str, **fields: Any) -> Any:
    answer = client.post(f"{path}/edit", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def type_all(client: Any, path: str, text: str) -> Any:
    return [edit(client, path, insert=text[i : i + STEP]) for i in range(0, len(text), STEP)][-1]


def same(answer: Any, session: Session, atol: float = 5e-4) -> None:
    expected = dict(session.next_distribution().top(99))
    for each in answer["next"]:
        assert each["probability"] == pytest.approx(expected[each["symbol"]], abs=atol)


@pytest.fixture(scope="module")
def learned(model):
    """A session of the library that has read the text, and learned."""

    def read(*texts: str) -> Session:
        session = onward.load(model).session()
        session.adapt()
        for text in texts:
            session.feed(text)
        return session

    return read


def test_it_expects_what_a_session_of_the_library_does_that_learns(server, model, learned) -> None:
    path = begin(server.client)
    answer = type_all(server.client, path, NEW)
    session = learned(NEW)
    assert answer["learned"] == session.adapter.steps == len(NEW) // LESSON
    same(answer, session)
    best = session.complete(n=3, until="word", shortest=2)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in best]
    static = server.client.post("/v1/sessions", json={"text": NEW, "next": 100}).json()
    assert static["learned"] is None
    theirs = {each["symbol"]: each["probability"] for each in static["next"]}
    assert max(abs(each["probability"] - theirs[each["symbol"]]) for each in answer["next"]) > 2e-3
    at_once = server.client.post("/v1/sessions", json={"text": NEW, "next": 100, "adapt": True}).json()
    same(at_once, session, atol=1e-3)


def test_a_backspace_takes_back_what_was_not_yet_learned(server, learned) -> None:
    path = begin(server.client)
    type_all(server.client, path, NEW[:40])
    edit(server.client, path, at=36, delete=4)  # within the second lesson: it is four shorter
    answer = edit(server.client, path, at=20, delete=16)  # into the first one, which was learned
    session = learned(*(NEW[i : i + STEP] for i in range(0, 40, STEP)))
    session.rollback(4)
    session.rollback(16)
    same(answer, session)
    assert answer["learned"] == 1
    session.feed(NEW[40:])
    same(type_all(server.client, path, NEW[40:]), session)


def test_what_is_read_again_is_not_learned_again(server) -> None:
    path = begin(server.client, text=NEW)
    for cursor in (0, 70, 10, len(NEW)):
        answer = edit(server.client, path, at=cursor)
    assert answer["learned"] == len(NEW) // LESSON
    assert edit(server.client, path, at=0, insert="x")["learned"] == len(NEW) // LESSON
    assert edit(server.client, path, at=len(NEW) + 1)["learned"] == len(NEW) // LESSON


def test_it_forgets_when_it_is_told_to(server) -> None:
    path = begin(server.client, text=NEW)
    static = server.client.post("/v1/sessions", json={"text": NEW, "next": 100}).json()
    answer = edit(server.client, path, forget=True)
    assert (answer["learned"], answer["version"]) == (0, 0)
    theirs = {each["symbol"]: each["probability"] for each in static["next"]}
    for each in answer["next"]:
        assert each["probability"] == pytest.approx(theirs[each["symbol"]], abs=1e-5)
    assert type_all(server.client, path, NEW)["learned"] == len(NEW) // LESSON
    other = f"/v1/sessions/{static['id']}/edit"
    assert server.client.post(other, json={"forget": True}).json()["error"]["param"] == "forget"


def test_what_was_learned_survives_a_kill(start, model, tmp_path, learned) -> None:
    server = start(model, "--state", tmp_path / "sessions.db")
    path = begin(server.client)
    before = type_all(server.client, path, NEW)
    server.end(signal.SIGKILL)
    client = start(model, "--state", tmp_path / "sessions.db").client
    answer = edit(client, path)
    assert (answer["learned"], answer["version"]) == (before["learned"], before["version"])
    read = len(NEW) // LESSON * LESSON
    session = onward.load(model).session()
    session.adapt(learned=learned(NEW[:read]).adapter.to_bytes())
    session.feed(NEW[:read], learns=False)
    session.feed(NEW[read:])
    same(answer, session)
    session.feed(NEW)
    answer = type_all(client, path, NEW)
    same(answer, session)
    assert answer["learned"] == 2 * len(NEW) // LESSON


def test_so_many_may_learn_and_no_more(start, model) -> None:
    client = start(model, "--adapting", 1).client
    path = begin(client)
    refused = client.post("/v1/sessions", json={"adapt": True})
    assert (refused.status_code, refused.json()["error"]["param"]) == (429, "adapt")
    assert refused.json()["error"]["code"] == "too_many_adapting"
    assert client.post("/v1/sessions", json={}).status_code == 201
    assert "onward_sessions_adapting 1" in client.get("/metrics").text
    client.delete(path)
    begin(client)


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
@pytest.mark.parametrize("seed", range(3))
def test_no_more_is_learned_than_was_typed_and_all_is_read(kind: str, seed: int) -> None:
    rng, pieces = random.Random(seed), ["a", "bad cab. ", "é", " ", "face_", "h\n"]
    vocabulary = Vocabulary.of_text("".join(pieces) * 9, kind)
    model = LanguageModel(ModelConfig(symbols=len(vocabulary), layer="gated", width=8, layers=1)).eval()
    trained = TrainedModel(Artefact(model, vocabulary, {"name": "test"}, {"steps": 0}))
    learner = Counting()
    typed, text, count = TypedText(trained, Stepper(model, initial_state(model, 1)), learner), "", 0
    for _ in range(40):
        at, insert = rng.randint(0, len(text)), "".join(rng.choices(pieces, k=rng.randint(0, 6)))
        edit = Edit(at, rng.randint(0, min(9, len(text) - at)), insert, 0)
        text, count = edit.applied(text), count + len(insert)
        cursor = rng.randint(0, len(text))
        for _ in typed.read(text, cursor, at):
            pass
        fresh = TypedText(trained, Stepper(model, initial_state(model, 1)))
        assert typed.session.position == len(fresh.follow(text, cursor, 0))
        if kind != "words":  # of which one may be new in part
            assert learner.count <= count
    assert learner.count > 0


class Counting(OnlineLearner):
    """Counts the characters that were new."""

    count = 0

    def parts(self, start: int, end: int, *, words: bool) -> Iterator[tuple[str, bool]]:
        for part, is_new in super().parts(start, end, words=words):
            self.count += len(part) * is_new
            yield part, is_new


def test_texts_that_were_read_are_known_by_their_places() -> None:
    learner = OnlineLearner(Learned(b"", "abcdef", [(0, 2), (4, 6)]))
    learner.follow("abXcdef")
    assert [*learner.parts(0, 7, words=False)] == [("ab", False), ("Xcd", True), ("ef", False)]
    assert [*learner.parts(0, 7, words=False)] == [("abXcdef", False)]
    learner.follow("bXcdef")
    learner.follow("bXcdefg")
    assert [*learner.parts(0, 7, words=False)] == [("bXcdef", False), ("g", True)]
    learner.follow("one two")
    assert [*learner.parts(0, 7, words=True)] == [("one two", True)]
