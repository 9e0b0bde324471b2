"""Short runs of the fault benchmarks: malformed and expensive requests, and a kill, harm no other client."""

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.documentation import ROOT

REQUESTS, SESSIONS = 3000, 5


def in_thread(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Runs a coroutine in another thread, since playwright may keep an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a benchmark."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.mark.slow
def test_malformed_requests_get_client_errors(
    benchmark: Callable[[str], ModuleType], model: Path, audit: Path
) -> None:
    faults = benchmark("serve_faults")
    found = in_thread(faults.malformed(model, audit, REQUESTS))
    assert sum(found["answers"].values()) == REQUESTS
    assert found["answers"]["400"] > REQUESTS / 4
    assert "silent" not in found["answers"]
    assert (found["server_errors"], found["crashed"], found["errors_logged"]) == (0, False, [])
    assert found["stopped_cleanly"]
    assert found["largest_answer_bytes"] < faults.LARGEST_ANSWER
    assert found["open_files_grown"] <= faults.AT_ONCE


@pytest.mark.slow
def test_sessions_continue_unchanged_after_a_kill(
    benchmark: Callable[[str], ModuleType], model: Path
) -> None:
    found = in_thread(benchmark("serve_faults").kill(model, SESSIONS))
    assert found["keys_acknowledged"] > SESSIONS
    assert found["sessions_that_go_on_the_same"] == SESSIONS
