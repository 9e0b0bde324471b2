"""A batch that is sent twice gets the same response."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onward.errors import ArtefactError
from onward.serve.http.errors import ApiError
from onward.serve.watch import idempotency as idempotency_module
from onward.serve.watch.batches import Batch
from onward.serve.watch.idempotency import MAX_RESPONSES, IdempotencyStore
from onward.watch.stream.store import WatchStore

BATCH = Batch("lines", ["a"], end=False, verdicts=False, key="b0", digest="d")


def test_a_response_is_found_by_key_also_after_a_restart(tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    responses = IdempotencyStore(store)
    assert responses.find(BATCH) is None
    responses.keep(BATCH, {"first": 1})
    assert responses.find(BATCH) == {"first": 1}
    store.commit()
    store.close()
    assert IdempotencyStore(WatchStore(tmp_path / "watch.db")).find(BATCH) == {"first": 1}


def test_a_key_that_belongs_to_another_batch_is_refused() -> None:
    responses = IdempotencyStore(WatchStore())
    responses.keep(BATCH, {"first": 1})
    with pytest.raises(ApiError, match="new idempotency_key for a new batch, got 'b0'") as caught:
        responses.find(replace(BATCH, digest="other"))
    assert (caught.value.status, caught.value.code) == (409, "idempotency_conflict")
    assert "same batch again" in caught.value.hint


def test_a_batch_without_a_key_is_always_new() -> None:
    responses = IdempotencyStore(WatchStore())
    responses.keep(replace(BATCH, key=None), {"first": 1})
    assert responses.find(replace(BATCH, key=None)) is None


def test_the_latest_responses_are_kept(tmp_path: Path) -> None:
    store = WatchStore(tmp_path / "watch.db")
    responses = IdempotencyStore(store)
    for i in range(MAX_RESPONSES + 3):
        responses.keep(replace(BATCH, key=f"b{i}"), {"first": i})
    store.commit()
    for kept in (responses, IdempotencyStore(store)):
        assert kept.find(replace(BATCH, key="b2")) is None
        assert kept.find(replace(BATCH, key="b3")) == {"first": 3}
        assert kept.find(replace(BATCH, key=f"b{MAX_RESPONSES + 2}")) == {"first": MAX_RESPONSES + 2}
        assert len(kept) == MAX_RESPONSES


def test_the_size_of_all_responses_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency_module, "MAX_BYTES", 1000)
    store = WatchStore(tmp_path / "watch.db")
    responses = IdempotencyStore(store)
    for i in range(5):
        responses.keep(replace(BATCH, key=f"b{i}"), {"text": "x" * 400})
    store.commit()
    for kept in (responses, IdempotencyStore(store)):
        assert [kept.find(replace(BATCH, key=f"b{i}")) is None for i in range(5)] == [True] * 3 + [False] * 2
    assert sum(store.fact(f"answer {i}") is not None for i in range(5)) == 2


def test_a_response_that_is_larger_than_the_bound_is_kept_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency_module, "MAX_BYTES", 1000)
    responses = IdempotencyStore(WatchStore())
    for i in range(3):
        responses.keep(replace(BATCH, key=f"b{i}"), {"text": "x" * 2000})
    assert len(responses) == 1
    assert responses.find(replace(BATCH, key="b2")) == {"text": "x" * 2000}


def test_a_start_reads_the_keys_but_no_responses(tmp_path: Path) -> None:
    class LoggingStore(WatchStore):
        """Logs the names of the facts that are read."""

        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self.names: list[str] = []

        def fact(self, name: str, read: Any = None) -> Any:
            self.names.append(name)
            return super().fact(name, read)

    store = LoggingStore(tmp_path / "watch.db")
    IdempotencyStore(store).keep(BATCH, {"first": 1})
    store.names.clear()
    responses = IdempotencyStore(store)
    assert not [name for name in store.names if name.startswith("answer")]
    assert responses.find(BATCH) == {"first": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [("replies", -1), ("replies", "1"), ("reply 0", [1]), ("reply 0", {"key": 1}), ("answer 0", 3)],
)
def test_a_damaged_response_is_refused(name: str, value: Any) -> None:
    store = WatchStore()
    IdempotencyStore(store).keep(BATCH, {"first": 1})
    store.set_fact(name, value)
    with pytest.raises(ArtefactError, match=f"the value of {name} in .* is damaged"):
        IdempotencyStore(store).find(BATCH)
