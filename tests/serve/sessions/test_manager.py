"""Typing sessions: the answer depends only on the text, not on the edits that made it."""

import asyncio
import gc
import json
import random
import signal
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pytest
from starlette.types import Message
from tests.serve import loop
from tests.serve.conftest import Server, Start
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

import onward
from onward.inference.scoring.protocol import Learn
from onward.serve.api.sessions import EditHandler
from onward.serve.engine.keystrokes import Prediction
from onward.serve.engine.online_learning import megabytes_to_learn
from onward.serve.engine.registry import ServedModel, load_models
from onward.serve.engine.typed_text import REACH, TypedText
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.sessions.document import Document, DocumentChange
from onward.serve.sessions.manager import SessionManager
from onward.serve.sessions.store import SessionStore
from onward.serve.sessions.typing_session import TypingSession

Json: TypeAlias = dict[str, Any]
Work: TypeAlias = Callable[[SessionManager, ServedModel], Awaitable[None]]
LONG_TEXT = "the lane goes on where the state is.\n" * 1600


def probabilities(answer: Json) -> dict[str, float]:
    return {each["symbol"]: each["probability"] for each in answer["next"]}


def check_same(answer: Json, expected: Json) -> None:
    found, wanted = probabilities(answer), probabilities(expected)
    assert found.keys() == wanted.keys()
    np.testing.assert_allclose([found[name] for name in wanted], [*wanted.values()], atol=1e-5)


def test_after_edits_the_answer_is_that_of_the_text(server: Server) -> None:
    rng, text, cursor = random.Random(4), "the lane", 8
    session = server.client.post("/v1/sessions", json={"text": text, "next": 100}).json()
    for number in range(1, 40):
        at = rng.randint(0, len(text)) if rng.random() < 0.5 else cursor
        delete, insert = rng.randint(0, min(3, len(text) - at)), rng.choice(["", "a", "the ", "é\n"])
        text, cursor = text[:at] + insert + text[at + delete :], at + len(insert)
        edit = {"at": at, "delete": delete, "insert": insert, "version": number - 1}
        answer = server.client.post(f"/v1/sessions/{session['id']}/edit", json=edit).json()
        assert (answer["version"], answer["length"], answer["cursor"]) == (number, len(text), cursor)
        fresh = server.client.post("/v1/sessions", json={"text": text[:cursor], "next": 100}).json()
        check_same(answer, fresh)
    assert server.client.get(f"/v1/sessions/{session['id']}").json()["text"] == text


def test_answers_are_those_of_the_library(server: Server, model: Path) -> None:
    answer = server.client.post("/v1/sessions", json={"text": "the st", "completions": 3}).json()
    found = onward.load(model).complete("the st", n=3, until="word", shortest=2, effort=64)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in found]
    session = onward.load(model).session()
    session.feed("the st")
    expected = dict(session.next_distribution().top(99))
    for name, probability in probabilities(answer).items():
        assert probability == pytest.approx(expected[name], abs=1e-5)


def test_an_empty_text_is_predicted_to_begin_as_a_text_does(server: Server, model: Path) -> None:
    answer = server.client.post("/v1/sessions", json={"completions": 3, "next": 100}).json()
    library = onward.load(model)
    session, begun = library.session(), library.session()
    begun.feed(library.beginning)
    found = library.complete("", n=3, until="word", shortest=2, effort=64)
    assert [each["text"] for each in answer["completions"]] == [each.text for each in found]
    assert probabilities(answer) == pytest.approx(dict(begun.next_distribution().top(100)), abs=1e-5)
    # the first symbol follows the start of the stream, as in scores
    typed = server.client.post(f"/v1/sessions/{answer['id']}/edit", json={"insert": "th"}).json()
    session.feed("th")
    assert probabilities(typed) == pytest.approx(dict(session.next_distribution().top(100)), abs=1e-5)
    emptied = server.client.post(f"/v1/sessions/{answer['id']}/edit", json={"at": 0, "delete": 2}).json()
    assert probabilities(emptied) == pytest.approx(probabilities(answer), abs=1e-5)


def test_an_edit_of_another_version_changes_nothing(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={"text": "ab"}).json()["id"]
    answer = server.client.post(f"/v1/sessions/{id_}/edit", json={"insert": "c", "version": 5})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "version_conflict")
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "ab"


def test_a_deleted_session_is_gone(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    assert server.client.delete(f"/v1/sessions/{id_}").status_code == 204
    assert server.client.get(f"/v1/sessions/{id_}").status_code == 410
    assert server.client.get("/v1/sessions/never").status_code == 404


def test_a_websocket_answers_in_order(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={}).json()["id"]
    with connect(f"ws{server.url[4:]}/v1/sessions/{id_}/ws") as socket:
        for letter in "the":
            socket.send(json.dumps({"insert": letter}))
        assert [json.loads(socket.recv())["version"] for _ in "the"] == [1, 2, 3]
        socket.send("no json")
        assert json.loads(socket.recv())["error"]["code"] == "invalid_json"
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "the"


def test_a_websocket_message_above_the_limit_closes_the_socket(server: Server) -> None:
    id_ = server.client.post("/v1/sessions", json={"text": "the "}).json()["id"]
    with connect(f"ws{server.url[4:]}/v1/sessions/{id_}/ws") as socket:
        socket.send(" " * (1 << 20))
        assert json.loads(socket.recv())["error"]["code"] == "invalid_json"
        socket.send(" " * (1 << 20) + " ")
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv(timeout=10)
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 1009  # too big (RFC 6455)
    assert server.client.get(f"/v1/sessions/{id_}").json()["text"] == "the "


@pytest.mark.slow
def test_the_least_recently_used_session_is_evicted(start: Start, model: Path) -> None:
    client = start(model, "--sessions", 2).client
    first, second = (client.post("/v1/sessions", json={}).json()["id"] for _ in range(2))
    client.get(f"/v1/sessions/{first}")
    client.post("/v1/sessions", json={})
    assert client.get(f"/v1/sessions/{first}").status_code == 200
    assert client.get(f"/v1/sessions/{second}").json()["error"]["code"] == "session_gone"


@pytest.mark.slow
def test_an_evicted_session_continues_from_the_file_with_its_options(
    start: Start, model: Path, tmp_path: Path
) -> None:
    arguments = (model, "--sessions", 1, "--state", tmp_path / "sessions.db")
    server = start(*arguments)
    options = {"completions": 1, "until": 3, "next": 2}
    first = server.client.post("/v1/sessions", json={"text": "the ", **options}).json()
    second = server.client.post("/v1/sessions", json={"text": "lane"}).json()["id"]
    path = f"/v1/sessions/{first['id']}"
    assert server.client.get(path).json() == first | {"text": "the "}
    options = {"completions": 2, "until": "line", "next": 4}
    changed = server.client.post(f"{path}/edit", json={"insert": "l", **options}).json()
    server.end(signal.SIGKILL)
    client = start(*arguments).client
    again = client.get(path).json()
    assert (again["text"], again["version"]) == ("the l", 1)
    assert (len(again["completions"]), len(again["next"])) == (2, 4)
    check_same(again, changed)
    assert client.get(f"/v1/sessions/{second}").json()["text"] == "lane"


@pytest.mark.slow
def test_acknowledged_edits_survive_a_kill(start: Start, model: Path, tmp_path: Path) -> None:
    server = start(model, "--state", tmp_path / "sessions.db")
    ids = [server.client.post("/v1/sessions", json={"text": "the "}).json()["id"] for _ in range(3)]
    before: dict[str, Json] = {}
    for i, id_ in enumerate(ids):
        for letter in "lane \ud800"[: 3 + i]:
            raw = json.dumps({"insert": letter, "next": 100})
            before[id_] = server.client.post(f"/v1/sessions/{id_}/edit", content=raw).json()
    server.end(signal.SIGKILL)
    again = start(model, "--state", tmp_path / "sessions.db").client
    for id_ in ids:
        body = {"version": before[id_]["version"], "next": 100}
        check_same(again.post(f"/v1/sessions/{id_}/edit", json=body).json(), before[id_])


class RunWork(Protocol):
    def __call__(self, work: Work, store: SessionStore | None = None, **limits: Any) -> None: ...


@pytest.fixture
def run(model: Path) -> RunWork:
    """Runs a coroutine with sessions, without a server around them."""

    def go(work: Work, store: SessionStore | None = None, **limits: Any) -> None:
        async def within() -> None:
            bounds, metrics = Limits(**limits), Metrics()
            models = load_models([model], bounds, metrics)
            served = models.get(None)
            served.engine.start()
            try:
                async with asyncio.timeout(60):
                    await work(SessionManager(models, bounds, metrics, store), served)
            finally:
                served.engine.stop()

        loop.run(within())

    return go


async def create(
    sessions: SessionManager, served: ServedModel, text: str = "the ", *, learn: Learn = "memory"
) -> TypingSession:
    created = await sessions.create(served, Document(text, len(text)), learn=learn)
    return await sessions.get(created.id)


async def predict(session: TypingSession) -> Json:
    return (await session.edit(DocumentChange())).to_json()


def age(session: TypingSession, seconds: float) -> None:
    """Sets back the time of a session's last use."""
    session.last_used -= seconds


def test_a_session_that_is_not_used_expires(run: RunWork, tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.db")

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        old, used = await create(sessions, served), await create(sessions, served)
        age(old, 101)
        await sessions.enforce_limits()
        assert [session.id for session in sessions] == [used.id]
        with pytest.raises(ApiError) as caught:
            await sessions.get(old.id)
        assert (caught.value.status, caught.value.code) == (410, "session_gone")
        exported, _ = served.metrics.export()
        assert b'onward_sessions_ended_total{reason="expired"} 1.0' in exported
        assert [entry.id for entry in store.index()] == [used.id]

    run(work, store, session_seconds=100)
    store.close()


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize("limits", [{"session_seconds": 100}, {"sessions": 1}, {"adapting": 1}])
def test_a_session_that_is_being_answered_does_not_end(
    run: RunWork, tmp_path: Path, limits: dict[str, int], is_answered: bool
) -> None:
    ids: list[str] = []
    store = SessionStore(tmp_path / "sessions.db")

    async def make(sessions: SessionManager, served: ServedModel) -> None:
        ids.extend(
            [
                (await create(sessions, served, learn="both" if "adapting" in limits else "memory")).id
                for _ in range(2)
            ]
        )

    async def enforce(sessions: SessionManager, served: ServedModel) -> None:
        first, _ = [await sessions.get(id_) for id_ in ids]
        age(first, 101)
        if is_answered:
            await first.lock.acquire()
        await sessions.enforce_limits()
        assert (first in list(sessions)) is is_answered
        assert first.is_ended is not is_answered

    run(make, store)
    run(enforce, store, **limits)
    store.close()


def test_waiting_edits_apply_to_the_text_and_options_that_earlier_ones_left(run: RunWork) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        session = await create(sessions, served)
        handler = EditHandler(sessions, Limits())

        async def edit(**fields: Any) -> Json:
            bodies = iter([{"type": "http.request", "body": json.dumps(fields).encode()}])
            sent: list[Message] = []

            async def receive() -> Message:
                return next(bodies)

            async def send(message: Message) -> None:
                sent.append(message)

            await handler({"type": "http", "path_params": {"id": session.id}}, receive, send)
            return json.loads(sent[1]["body"])

        async with session.lock:
            bodies = [{"insert": "l", "next": 3}, {"insert": "a"}, {"delete": 2, "at": 0}, {"insert": "n"}]
            waiting = asyncio.gather(*(edit(**body) for body in bodies))
            await asyncio.sleep(0.01)
        answers = await waiting
        assert [answer["version"] for answer in answers] == [1, 2, 3, 4]
        assert session.document.text == "ne la"
        assert [answer["completions"] is None for answer in answers] == [True, True, True, False]
        assert len(answers[-1]["next"]) == 3

    run(work)


def test_dropped_states_are_computed_again(run: RunWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TypedText, "megabytes", lambda typed, text: 0.95)

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        first, second, third = [await create(sessions, served) for _ in range(3)]
        before = await predict(first)
        await sessions.get(first.id)
        await sessions.enforce_limits()
        assert [session.state_megabytes > 0 for session in (first, second, third)] == [True, False, True]
        await create(sessions, served)
        await create(sessions, served)
        assert first.state_megabytes == 0
        assert sessions.megabytes == pytest.approx(1.9, abs=0.05)
        again = await predict(first)
        check_same(again, before)
        assert again["completions"][0]["text"] == before["completions"][0]["text"]

    run(work, session_megabytes=2, session_memory=0)


def test_other_sessions_are_answered_while_a_long_text_is_read(run: RunWork) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        typing = await create(sessions, served)
        pasting = asyncio.create_task(create(sessions, served, LONG_TEXT))
        for _ in range(5):
            await predict(typing)
        assert not pasting.done()
        answer = await predict(await pasting)
        whole = served.trained.session()
        whole.feed(LONG_TEXT)
        expected = dict(whole.next_distribution().top(99))
        for symbol, probability in probabilities(answer).items():
            assert probability == pytest.approx(expected[symbol], abs=1e-4)

    run(work)


def test_other_sessions_are_answered_while_the_cursor_moves_far_back(run: RunWork) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        typing, pasted = await create(sessions, served), await create(sessions, served, LONG_TEXT)
        cursor = len(LONG_TEXT) - 2 * REACH
        moving = asyncio.create_task(pasted.edit(DocumentChange(at=len(LONG_TEXT), cursor=cursor)))
        for _ in range(5):
            await predict(typing)
        assert not moving.done()
        assert (await moving).document.cursor == cursor

    run(work)


def test_learned_weights_count_as_memory_and_remain_when_states_are_dropped(run: RunWork) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        weights = megabytes_to_learn(served.trained.model)
        learning = await create(sessions, served, "the lane goes on. " * 4, learn="both")
        assert weights < sessions.megabytes
        learning.follower.drop_states()
        assert sessions.megabytes == pytest.approx(weights, abs=0.01)
        before = learning.follower.learned_blocks
        answer = await predict(learning)
        assert answer["learned"] == before == 2

    run(work)


def test_adapting_sessions_are_evicted_for_those_that_come_back_from_the_file(
    run: RunWork, tmp_path: Path
) -> None:
    text, store = "the lane goes on. " * 4, SessionStore(tmp_path / "sessions.db")
    ids: list[str] = []

    async def learn(sessions: SessionManager, served: ServedModel) -> None:
        ids.extend([(await create(sessions, served, text, learn="both")).id for _ in range(3)])

    async def resume(sessions: SessionManager, served: ServedModel) -> None:
        await sessions.enforce_limits()
        assert [session.id for session in sessions.adapting] == ids[1:]
        first = await sessions.get(ids[0])
        assert (await predict(first))["learned"] == 2
        await sessions.enforce_limits()
        assert [session.id for session in sessions.adapting] == [ids[2], ids[0]]
        with pytest.raises(ApiError, match="sessions are adapting already"):
            await create(sessions, served, learn="both")

    run(learn, store)
    run(resume, store, adapting=2)
    store.close()


def test_a_session_whose_prediction_fails_reads_its_text_again(
    run: RunWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        session = await create(sessions, served)
        before = await predict(session)

        async def broken(_: object) -> Prediction:
            raise ApiError(503, "stopping", "broken")

        with monkeypatch.context() as patch, pytest.raises(ApiError, match="broken"):
            patch.setattr(served.engine, "predict", broken)
            await session.edit(DocumentChange(insert="l"))
        assert session.state_megabytes == 0
        assert session.document.text == "the l"
        answer = (await session.edit(DocumentChange(at=4, delete=1))).to_json()
        check_same(answer, before)

    run(work)


EMOJI = "\U0001f600"  # takes four bytes in memory and in the file


async def create_long(sessions: SessionManager, served: ServedModel, size: int, cursor: int = 0) -> str:
    """Creates a session with a text of four bytes for each character."""
    return (await sessions.create(served, Document(EMOJI * size, cursor))).id


@pytest.mark.parametrize("cursor", [0, 1000, 8000])
@pytest.mark.slow
def test_the_memory_of_a_session_is_counted(run: RunWork, cursor: int) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        await create_long(sessions, served, 8000, cursor)  # so that all that is made once is there
        tracemalloc.start()
        counted, (taken, _) = sessions.megabytes, tracemalloc.get_traced_memory()
        for _ in range(10):
            await create_long(sessions, served, 8000, cursor)
        gc.collect()
        counted, taken = sessions.megabytes - counted, tracemalloc.get_traced_memory()[0] - taken
        tracemalloc.stop()
        assert counted * 2**20 > taken * 0.95 > 320_000
        states = sum(session.state_megabytes for session in [*sessions][1:])
        assert (counted - states) * 2**20 == pytest.approx(10 * (32_000 + 8192), rel=0.05)

    run(work)


def test_sessions_with_long_texts_are_evicted_when_memory_is_full(run: RunWork, tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.db")

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        ids = [await create_long(sessions, served, 65_536) for _ in range(12)]  # a quarter of a megabyte each
        assert sessions.megabytes <= 2
        assert [session.id for session in sessions] == ids[-len(sessions) :]
        assert len(sessions) >= 6
        assert (await sessions.get(ids[0])).document.text == EMOJI * 65_536  # from the file

    run(work, store, session_megabytes=2, session_memory=0)
    store.close()


def test_the_only_session_stays_whatever_its_size(run: RunWork) -> None:
    async def work(sessions: SessionManager, served: ServedModel) -> None:
        last = [await create_long(sessions, served, 1000) for _ in range(3)][-1]
        assert [session.id for session in sessions] == [last]

    run(work, session_megabytes=0)


def test_sessions_that_are_only_in_the_file_are_removed_when_it_is_full(run: RunWork, tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.db")
    ids: list[str] = []

    async def work(sessions: SessionManager, served: ServedModel) -> None:
        for _ in range(20):
            ids.append(await create_long(sessions, served, 65_536))
            assert store.megabytes < 2.3  # with the session that was just created
        assert {entry.id for entry in store.index()} == {*ids[-7:]}
        with pytest.raises(ApiError) as caught:
            await sessions.get(ids[0])
        assert caught.value.status == 410
        assert (await sessions.get(ids[-7])).document.text
        exported, _ = served.metrics.export()
        assert b'onward_sessions_ended_total{reason="evicted"} 13.0' in exported

    run(work, store, sessions=2, stored_megabytes=2)
    store.close()
    assert (tmp_path / "sessions.db").stat().st_size < 4 * 2**20


def test_after_a_restart_only_sessions_that_fit_are_in_memory(run: RunWork, tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.db")
    ids: list[str] = []

    async def make(sessions: SessionManager, served: ServedModel) -> None:
        ids.extend([await create_long(sessions, served, 65_536) for _ in range(12)])

    async def look(sessions: SessionManager, served: ServedModel) -> None:
        held = [session.id for session in sessions]
        assert held == ids[-len(held) :]
        assert 6 <= len(held) <= 9
        assert (await sessions.get(ids[0])).document.text == EMOJI * 65_536

    run(make, store)
    run(look, store, session_megabytes=2, session_memory=0)
    store.close()
