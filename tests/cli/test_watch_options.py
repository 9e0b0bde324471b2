"""Options of `onward watch` whose values cannot be, or would be ignored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows

Command = Callable[..., Any]
COLUMNS = ["--key", "who", "--event", "what"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty sessions in columns that tabs part."""
    path = tmp_path / "audit.tsv"
    lines = [f"s{i}\t{event}" for i in range(40) for event in ("start", "read", "stop")]
    path.write_text("\n".join(["who\twhat", *lines]) + "\n")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Normal sessions as JSON lines."""
    path = tmp_path / "new.jsonl"
    path.write_text(rows([["start", "read", "read", "sync", "stop"]] * 3))
    return path


@pytest.mark.parametrize("tab", ["\t", "\\t", "tab"])
def test_a_tab_may_be_written_as_people_write_it(
    tab: str, onward: Command, table: Path, tmp_path: Path
) -> None:
    how = [*COLUMNS, "--delimiter", tab, "--held-out", "50%", "--steps", "1", "--json"]
    ran = onward("watch", "learn", table, "-o", tmp_path / "a.onward", *how)
    assert ran.code == 0, ran.err
    assert (ran.json["sequences"], ran.json["distinct_events"]) == (40, 3)


@pytest.mark.parametrize(
    ("options", "told", "remedy"),
    [
        ([*COLUMNS, "--delimiter", ";;"], "expected one character between columns, got ';;'", "--delimiter"),
        ([*COLUMNS, "--delimiter", ""], "expected one character between columns, got ''", "--delimiter"),
        ([*COLUMNS, "--delimiter", '"'], "expected one character between columns, got '\"'", "--delimiter"),
        (["--delimiter", "tab"], "have no columns, got delimiter", "--event"),
        (["--key", "who"], "have no columns, got key", "--event"),
        (["--log", "--key", "who", "--time", "at"], "have no columns, got key, time", "--key-regex"),
        (["--symbols", "bytes"], "log lines alone", "--log"),
        (["--top-k", "0"], "expected 1 or more events that may be expected, got 0", "--top-k"),
        (["--top-k", "-3"], "expected 1 or more events that may be expected, got -3", "--top-k"),
        (["--top-k", "3", "--false-alarms", "1%"], "either --false-alarms or --top-k", "leave one out"),
        (["--steps", "0"], "expected 1 or more steps of training, got 0", "--steps"),
        (["--steps", "-4"], "expected 1 or more steps of training, got -4", "--steps"),
        (["--folds", "3", "--held-out", "50%"], "either --folds or --held-out", "leave one out"),
        (["--folds", "3", "--in-order"], "either --folds or --in-order", "leave one out"),
    ],
)
def test_learn_refuses_what_cannot_be_before_it_begins(
    options: list[str], told: str, remedy: str, onward: Command, table: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "learn", table, "-o", tmp_path / "a.onward", *options)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    error, hint = ran.err.splitlines()
    assert error.startswith("error: ") and told in error
    assert hint.startswith("hint: ") and remedy in hint


@pytest.mark.parametrize(
    ("options", "told", "remedy"),
    [
        (["--in-memory", "0"], "expected 1 or more sequences in memory, got 0", "--in-memory"),
        (["--in-memory", "-5"], "expected 1 or more sequences in memory, got -5", "--in-memory"),
        (["--top-k", "0"], "expected 1 or more events that may be expected, got 0", "--top-k"),
        (["--top-k", "3", "--false-alarms", "1%"], "either --false-alarms or --top-k", "leave one out"),
    ],
)
def test_run_refuses_what_cannot_be(
    options: list[str], told: str, remedy: str, onward: Command, watching: Path, source: Path
) -> None:
    ran = onward("watch", "run", watching, source, *options)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    assert told in ran.err and remedy in ran.err.partition("hint: ")[2]


@pytest.mark.parametrize("scale", ["0", "-5", "2"])
def test_judge_refuses_a_sample_of_fewer_than_there_are(
    scale: str, onward: Command, watching: Path, source: Path
) -> None:
    ran = onward("watch", "judge", watching, "--normal", source, "--anomalous", source, "--scale", scale)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    assert f"expected 3 or more normal sequences in all, got {scale}" in ran.err
    assert "--scale" in ran.err.partition("hint: ")[2]
