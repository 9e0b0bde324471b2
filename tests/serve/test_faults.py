"""A short run of the fault benchmark: malformed requests get client errors, and a kill loses no keystroke."""

import asyncio
import importlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.documentation import ROOT

pytestmark = pytest.mark.slow

REQUESTS, SESSIONS = 400, 5


def in_thread(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Runs a coroutine in another thread, since playwright may keep an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("serve_faults")


def test_malformed_requests_get_client_errors(faults: ModuleType, model: Path) -> None:
    found = in_thread(faults.malformed(model, REQUESTS))
    assert sum(found["answers"].values()) == REQUESTS
    assert found["answers"]["400"] > REQUESTS / 10
    assert (found["server_errors"], found["crashed"]) == (0, False)
    assert found["open_files_grown"] <= faults.AT_ONCE


def test_sessions_continue_unchanged_after_a_kill(faults: ModuleType, model: Path) -> None:
    found = in_thread(faults.kill(model, SESSIONS))
    assert found["keys_acknowledged"] > SESSIONS
    assert found["sessions_that_go_on_the_same"] == SESSIONS
