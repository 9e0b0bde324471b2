"""The benchmark of faults, in small: no malformed request is the server's fault, and a kill loses no key."""

import asyncio
import importlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from tests.documentation import ROOT

pytestmark = pytest.mark.slow

REQUESTS, SESSIONS = 400, 5


def beside(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Its result, from a thread of its own: a browser of other tests may keep a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("serve_faults")


def test_malformed_requests_are_the_callers_fault(faults: ModuleType, model) -> None:
    found = beside(faults.malformed(model, REQUESTS))
    assert sum(found["answers"].values()) == REQUESTS
    assert found["answers"]["400"] > REQUESTS / 10
    assert (found["server_errors"], found["crashed"]) == (0, False)
    assert found["open_files_grown"] <= faults.AT_ONCE


def test_sessions_go_on_the_same_after_a_kill(faults: ModuleType, model) -> None:
    found = beside(faults.kill(model, SESSIONS))
    assert found["keys_acknowledged"] > SESSIONS
    assert found["sessions_that_go_on_the_same"] == SESSIONS
