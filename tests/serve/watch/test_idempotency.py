"""Batches that are sent twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.serve.http.errors import ApiError
from onward.serve.watch import idempotency as module
from onward.serve.watch.batches import Batch
from onward.serve.watch.idempotency import REMEMBERED, IdempotencyStore
from onward.watch.stream.store import WatchStore

BATCH = Batch("lines", ["a"], end=False, verdicts=False, key="b0", digest="d")


def test_an_answer_is_that_of_its_name_and_its_body(tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    replies = IdempotencyStore(store)
    assert replies.find(BATCH) is None
    replies.keep(BATCH, {"first": 1})
    assert replies.find(BATCH) == {"first": 1}
    with pytest.raises(ApiError) as caught:
        replies.find(replace(BATCH, digest="other"))
    assert (caught.value.status, caught.value.code) == (409, "idempotency_conflict")
    assert "sent again" in caught.value.hint
    store.commit()
    store.close()
    assert IdempotencyStore(WatchStore(tmp_path / "watch.db")).find(BATCH) == {"first": 1}


def test_a_batch_without_a_name_is_each_time_another() -> None:
    replies = IdempotencyStore(WatchStore())
    replies.keep(replace(BATCH, key=None), {"first": 1})
    assert replies.find(replace(BATCH, key=None)) is None


def test_the_latest_are_remembered(tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    replies = IdempotencyStore(store)
    for i in range(REMEMBERED + 3):
        replies.keep(replace(BATCH, key=f"b{i}"), {"first": i})
    store.commit()
    for kept in (replies, IdempotencyStore(store)):
        assert kept.find(replace(BATCH, key="b2")) is None
        assert kept.find(replace(BATCH, key="b3")) == {"first": 3}
        assert kept.find(replace(BATCH, key=f"b{REMEMBERED + 2}")) == {"first": REMEMBERED + 2}
        assert len(kept) == REMEMBERED


def test_what_is_kept_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    store = WatchStore(tmp_path / "watch.db")
    replies = IdempotencyStore(store)
    for i in range(5):
        replies.keep(replace(BATCH, key=f"b{i}"), {"text": "x" * 400})
    store.commit()
    for kept in (replies, IdempotencyStore(store)):
        assert [kept.find(replace(BATCH, key=f"b{i}")) is None for i in range(5)] == [True] * 3 + [False] * 2
    assert sum(store.fact(f"answer {i}") is not None for i in range(5)) == 2


def test_one_that_is_longer_than_all_may_be_is_kept_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    replies = IdempotencyStore(WatchStore())
    for i in range(3):
        replies.keep(replace(BATCH, key=f"b{i}"), {"text": "x" * 2000})
    assert len(replies) == 1
    assert replies.find(replace(BATCH, key="b2")) == {"text": "x" * 2000}


def test_a_start_reads_no_answers(tmp_path: Path) -> None:
    class Asked(WatchStore):
        names: list[str] = []  # noqa: RUF012

        def fact(self, name: str) -> Any:
            self.names.append(name)
            return super().fact(name)

    store = Asked(tmp_path / "watch.db")
    IdempotencyStore(store).keep(BATCH, {"first": 1})
    store.names.clear()
    replies = IdempotencyStore(store)
    assert not [name for name in store.names if name.startswith("answer")]
    assert replies.find(BATCH) == {"first": 1}
