"""Typing sessions: whatever was edited, the answer is that of the text."""

import asyncio
import json
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from starlette.types import Message
from tests.serve import loop
from websockets.sync.client import connect

import onward
from onward.serve.api.sessions import Editing
from onward.serve.engine.online_learning import megabytes_to_learn
from onward.serve.engine.registry import ModelRegistry, ServedModel
from onward.serve.engine.typed_text import REACH, CompletionWanted, Edit, TypedText
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.sessions.manager import SessionManager, TypingSession
from onward.serve.sessions.store import SessionStore

Work = Callable[[SessionManager, ServedModel], Awaitable[None]]


def chances(answer) -> dict[str, float]:
    return {each["symbol"]: each["probability"] for each in answer["next"]}


def same(answer, fresh) -> None:
    a, b = chances(answer), chances(fresh)
    assert a.keys() == b.keys()
    np.testing.assert_allclose([a[name] for name in b], [*b.values()], atol=1e-5)


def test_edits_give_what_the_text_gives(server) -> None:
    rng, text, cursor = random.Random(4), "the lane", 8
    session = server.client.post("/v1/sessions", json={"text": text, "next": 100}).json()
    for number in range(1, 40):
        at = rng.randint(0, len(text)) if rng.random() < 0.5 else cursor
        delete, insert = rng.randint(0, min(3, len(text) - at)), rng.choice(["", "a", "the ", "é\n"])
        text, cursor = text[:at] + insert + text[at + delete :], at + len(insert)
        edit = {"at": at, "delete": delete, "insert": insert, "version": number - 1}
        answer = server.client.post(f"/v1/sessions/{session['id']}/edit", json=edit).json()
        assert (answer["version"], answer["length"], answer["cursor"]) == (number, len(text), cursor)
        same(answer, server.client.post("/v1/sessions", json={"text": text[:cursor], "next": 100}).json())
    assert server.client.get(f"/v1/sessions/{session['id']}").json()["text"] == text


def test_answers_are_those_of_the_library(server, model) -> None:
    answer = server.client.post("/v1/sessions", json={"text": "the st", "completions": 3}).json()
    found = onward.load(model).complete("the st", n=3, until="word", shortest=2, effort=64)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in found]
    distribution = onward.load(model).session()
    distribution.feed("the st")
    for name, chance in chances(answer).items():
        assert chance == pytest.approx(dict(distribution.next_distribution().top(99))[name], abs=1e-5)


def test_another_version_is_a_conflict_and_changes_nothing(server) -> None:
    id_ = server.client.post("/v1/sessions", json={"text": "ab"}).json()["id"]
    answer = server.client.post(f"/v1/sessions/{id_}/edit", json={"insert": "c", "version": 5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "version_conflict")
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "ab"


def test_a_session_ends(server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    assert server.client.delete(f"/v1/sessions/{id_}").status_code == 204
    assert server.client.get(f"/v1/sessions/{id_}").status_code == 410
    assert server.client.get("/v1/sessions/never").status_code == 404


def test_a_websocket_answers_in_order(server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    with connect(f"ws{server.url[4:]}/v1/sessions/{id_}/ws") as socket:
        for letter in "the":
            socket.send(json.dumps({"insert": letter}))
        assert [json.loads(socket.recv())["version"] for _ in "the"] == [1, 2, 3]
        socket.send("no json")
        assert json.loads(socket.recv())["error"]["code"] == "invalid_json"
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "the"


def test_too_many_sessions_and_the_least_recently_used_goes(start, model) -> None:
    client = start(model, "--sessions", 2).client
    first, second = (client.post("/v1/sessions", json={}).json()["id"] for _ in range(2))
    client.get(f"/v1/sessions/{first}")
    client.post("/v1/sessions", json={})
    assert client.get(f"/v1/sessions/{first}").status_code == 200
    assert client.get(f"/v1/sessions/{second}").json()["error"]["code"] == "session_gone"


def test_what_was_driven_out_goes_on_in_the_file_with_its_wishes(start, model, tmp_path) -> None:
    arguments = (model, "--sessions", 1, "--state", tmp_path / "sessions.db")
    server = start(*arguments)
    wish = {"completions": 1, "until": 3, "next": 2}
    first = server.client.post("/v1/sessions", json={"text": "the ", **wish}).json()
    second = server.client.post("/v1/sessions", json={"text": "lane"}).json()["id"]
    path = f"/v1/sessions/{first['id']}"
    assert server.client.get(path).json() == first | {"text": "the "}
    wish = {"completions": 2, "until": "line", "next": 4}
    changed = server.client.post(f"{path}/edit", json={"insert": "l", **wish}).json()
    server.end(signal.SIGKILL)
    client = start(*arguments).client
    again = client.get(path).json()
    assert (again["text"], again["version"]) == ("the l", 1)
    assert (len(again["completions"]), len(again["next"])) == (2, 4)
    same(again, changed)
    assert client.get(f"/v1/sessions/{second}").json()["text"] == "lane"


def test_what_was_acknowledged_survives_a_kill(start, model, tmp_path) -> None:
    server = start(model, "--state", tmp_path / "sessions.db")
    made = [server.client.post("/v1/sessions", json={"text": "the "}).json()["id"] for _ in range(3)]
    before = {}
    for i, id_ in enumerate(made):
        for letter in "lane \ud800"[: 3 + i]:
            raw = json.dumps({"insert": letter, "next": 100})
            before[id_] = server.client.post(f"/v1/sessions/{id_}/edit", content=raw).json()
    server.end(signal.SIGKILL)
    again = start(model, "--state", tmp_path / "sessions.db").client
    for id_ in made:
        body = {"version": before[id_]["version"], "next": 100}
        answer = again.post(f"/v1/sessions/{id_}/edit", json=body).json()
        same(answer, before[id_])


@pytest.fixture
def desk(model) -> Callable[..., None]:
    """Does work with sessions, without a server around them."""

    def go(work: Work, store: SessionStore | None = None, **limits: Any) -> None:
        async def within() -> None:
            bounds, metrics = Limits(**limits), Metrics()
            models = ModelRegistry([model], bounds, metrics)
            served = models.get(None)
            served.engine.start()
            try:
                async with asyncio.timeout(60):
                    await work(SessionManager(models, bounds, metrics, store), served)
            finally:
                served.engine.stop()

        loop.run(within())

    return go


async def begun(
    sessions: SessionManager, served: ServedModel, text: str = "the ", **options: Any
) -> TypingSession:
    made = await sessions.create(served, text, len(text), CompletionWanted(), **options)
    return await sessions.get(made["id"])


def test_a_session_that_is_not_used_ends_after_its_time(desk, tmp_path) -> None:
    store = SessionStore(tmp_path / "sessions.db")

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        old, used = await begun(sessions, served), await begun(sessions, served)
        old.used -= 101
        await sessions.tidy()
        assert [session.id for session in sessions] == [used.id]
        with pytest.raises(ApiError) as caught:
            await sessions.get(old.id)
        assert (caught.value.status, caught.value.code) == (410, "session_gone")
        assert served.metrics.sessions_ended.value(reason="expired") == 1
        assert [saved.id for saved in store.sessions()] == [used.id]

    desk(work, store, session_seconds=100)
    store.close()


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize("limits", [{"session_seconds": 100}, {"sessions": 1}, {"adapting": 1}])
def test_a_session_that_is_being_answered_does_not_end(desk, tmp_path, limits, is_answered) -> None:
    made, store = [], SessionStore(tmp_path / "sessions.db")

    async def make(sessions: SessionManager, served: ServedModel) -> None:
        made.extend([(await begun(sessions, served, adapts="adapting" in limits)).id for _ in range(2)])

    async def tidy(sessions: SessionManager, served: ServedModel) -> None:
        first, _ = [await sessions.get(id_) for id_ in made]
        first.used -= 101
        if is_answered:
            await first.lock.acquire()
        await sessions.tidy()
        assert (first in list(sessions)) is is_answered

    desk(make, store)
    desk(tidy, store, **limits)
    store.close()


def test_edits_that_wait_are_of_the_text_and_the_wishes_that_those_before_them_left(desk) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        session = await begun(sessions, served)
        editing = Editing(sessions, Limits())

        async def edit(**fields: Any) -> dict[str, Any]:
            bodies = iter([{"type": "http.request", "body": json.dumps(fields).encode()}])
            said: list[dict[str, Any]] = []

            async def receive() -> Message:
                return next(bodies)

            async def send(message: Message) -> None:
                said.append(message)

            await editing({"type": "http", "path_params": {"id": session.id}}, receive, send)
            return json.loads(said[1]["body"])

        async with session.lock:
            bodies = [{"insert": "l", "next": 3}, {"insert": "a"}, {"delete": 2, "at": 0}, {"insert": "n"}]
            waiting = asyncio.gather(*(edit(**body) for body in bodies))
            await asyncio.sleep(0.01)
        answers = await waiting
        assert [answer["version"] for answer in answers] == [1, 2, 3, 4]
        assert session.text == "ne la"
        assert len(answers[-1]["next"]) == 3

    desk(work)


def test_states_of_the_least_recently_used_are_dropped_and_read_anew(desk, monkeypatch) -> None:
    monkeypatch.setattr(TypedText, "megabytes", property(lambda typed: 1.0))

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        first, second, third = [await begun(sessions, served) for _ in range(3)]
        before = await sessions.edit(first)
        await sessions.get(first.id)
        await sessions.tidy()
        assert [session.typed is None for session in (first, second, third)] == [False, True, False]
        await begun(sessions, served)
        await begun(sessions, served)
        assert first.typed is None
        assert sessions.megabytes == 2
        again = await sessions.edit(first)
        same(again, before)
        assert again["completions"][0]["text"] == before["completions"][0]["text"]

    desk(work, session_megabytes=2)


def test_a_long_text_that_comes_at_once_holds_nobody_up(desk) -> None:
    text = "the lane goes on where the state is.\n" * 1600

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        typing = await begun(sessions, served)
        pasting = asyncio.create_task(begun(sessions, served, text))
        for _ in range(5):
            await sessions.edit(typing)
        assert not pasting.done()
        pasted = await pasting
        whole = served.trained.session()
        whole.feed(text)
        expected = whole.next_distribution()
        for symbol, probability in chances(await sessions.edit(pasted)).items():
            assert probability == pytest.approx(expected.probabilities[symbol_id(served, symbol)], abs=1e-4)

    desk(work)


def test_going_back_out_of_reach_holds_nobody_up(desk) -> None:
    text = "the lane goes on where the state is.\n" * 1600

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        typing, pasted = await begun(sessions, served), await begun(sessions, served, text)
        back = Edit(at=len(text), delete=0, insert="", cursor=len(text) - 2 * REACH)
        going = asyncio.create_task(sessions.edit(pasted, lambda _: back))
        for _ in range(5):
            await sessions.edit(typing)
        assert not going.done()
        assert (await going)["cursor"] == back.cursor

    desk(work)


def symbol_id(served: ServedModel, name: str) -> int:
    vocabulary = served.trained.vocabulary
    return next(i for i in range(len(vocabulary)) if vocabulary.symbol(i) == name)


def test_weights_that_were_learned_count_and_stay_in_memory(desk) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        own = megabytes_to_learn(served.trained.model)
        learning = await begun(sessions, served, "the lane goes on. " * 4, adapts=True)
        assert own < sessions.megabytes
        assert learning.learner is not None
        learning.typed = None  # as if others had needed the room
        assert sessions.megabytes == pytest.approx(own)
        steps = learning.learner.steps
        answer = await sessions.edit(learning)
        assert answer["learned"] == steps == 2

    desk(work)


def test_those_that_learn_go_to_the_file_for_others_that_came_back_from_it(desk, tmp_path) -> None:
    text, store = "the lane goes on. " * 4, SessionStore(tmp_path / "sessions.db")
    made: list[str] = []

    async def learn(sessions: SessionManager, served: ServedModel) -> None:
        made.extend([(await begun(sessions, served, text, adapts=True)).id for _ in range(3)])

    async def go_on(sessions: SessionManager, served: ServedModel) -> None:
        await sessions.tidy()
        assert [session.id for session in sessions.adapting] == made[1:]
        first = await sessions.get(made[0])
        assert (await sessions.edit(first))["learned"] == 2
        await sessions.tidy()
        assert [session.id for session in sessions.adapting] == [made[2], made[0]]
        with pytest.raises(ApiError, match="sessions learn already"):
            await begun(sessions, served, adapts=True)

    desk(learn, store)
    desk(go_on, store, adapting=2)
    store.close()
