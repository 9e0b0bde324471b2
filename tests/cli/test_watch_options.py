"""Options of `onward watch` with values that are impossible or would be ignored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows

Command = Callable[..., Any]
COLUMNS = ["--key", "who", "--event", "what"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty sessions in columns separated by tabs."""
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
def test_a_tab_has_several_spellings(tab: str, onward: Command, table: Path, tmp_path: Path) -> None:
    how = [*COLUMNS, "--delimiter", tab, "--held-out", "50%", "--steps", "1", "--json"]
    ran = onward("watch", "learn", table, "-o", tmp_path / "a.onward", *how)
    assert ran.code == 0, ran.err
    assert (ran.json["sequences"], ran.json["distinct_events"]) == (40, 3)


@pytest.mark.parametrize(
    ("options", "message", "remedy"),
    [
        ([*COLUMNS, "--delimiter", ";;"], "expected one character between columns, got ';;'", "--delimiter"),
        ([*COLUMNS, "--delimiter", ""], "expected one character between columns, got ''", "--delimiter"),
        ([*COLUMNS, "--delimiter", '"'], "expected one character between columns, got '\"'", "--delimiter"),
        (["--form", "sequences", "--delimiter", "tab"], "have no delimiter", "--delimiter"),
        (["--form", "sequences", "--key", "who"], "have no columns, got key", "--event"),
        (["--log", "--key", "who", "--time", "at"], "have no columns, got key, time", "--key-regex"),
        (["--form", "csv", "--symbols", "bytes"], "only for raw log lines", "--log"),
        (["--top-k", "0"], "top_k must be a whole number of 1 or more, got 0", "leave it out"),
        (["--top-k", "-3"], "top_k must be a whole number of 1 or more, got -3", "leave it out"),
        (["--top-k", "3", "--false-alarms", "1%"], "either --false-alarms or --top-k", "leave one out"),
        (["--steps", "0"], "steps must be a whole number of 1 or more, got 0", "--steps"),
        (["--steps", "-4"], "steps must be a whole number of 1 or more, got -4", "--steps"),
        (["--folds", "3", "--held-out", "50%"], "either --folds or --held-out", "leave one out"),
        (["--folds", "3", "--in-order"], "either --folds or --in-order", "leave one out"),
    ],
)
def test_learn_refuses_impossible_options_at_once(
    options: list[str], message: str, remedy: str, onward: Command, table: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "learn", table, "-o", tmp_path / "a.onward", *options)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    error, hint = ran.err.splitlines()
    assert error.startswith("error: ") and message in error
    assert hint.startswith("hint: ") and remedy in hint


@pytest.mark.parametrize(
    ("options", "message", "remedy"),
    [
        (["--in-memory", "0"], "expected 1 or more sequences in memory, got 0", "--in-memory"),
        (["--in-memory", "-5"], "expected 1 or more sequences in memory, got -5", "--in-memory"),
        (["--top-k", "0"], "top_k must be a whole number of 1 or more, got 0", "leave it out"),
        (["--top-k", "3", "--false-alarms", "1%"], "either --false-alarms or --top-k", "leave one out"),
    ],
)
def test_run_refuses_impossible_options(
    options: list[str], message: str, remedy: str, onward: Command, watching: Path, source: Path
) -> None:
    ran = onward("watch", "run", watching, source, *options)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    assert message in ran.err and remedy in ran.err.partition("hint: ")[2]


@pytest.mark.parametrize("scale", ["0", "-5", "2"])
def test_judge_refuses_a_total_below_the_sample(
    scale: str, onward: Command, watching: Path, source: Path
) -> None:
    ran = onward("watch", "judge", watching, "--normal", source, "--anomalous", source, "--scale", scale)
    assert (ran.code, ran.out) == (2, "") and "Traceback" not in ran.err
    assert f"expected 3 or more normal sequences in all, got {scale}" in ran.err
    assert "--scale" in ran.err.partition("hint: ")[2]


def test_the_help_names_every_default(onward: Command) -> None:
    """A user who relies on the false-alarm rate must be able to find its default."""
    from onward.watch.detector import FALSE_ALARMS  # noqa: PLC0415
    from onward.watch.training import MOST_FOLDS  # noqa: PLC0415

    help_text = " ".join(onward("watch", "learn", "--help").out.replace("\u2502", " ").split())
    assert f"may be flagged. Default: {FALSE_ALARMS:.1%}, or with few sequences" in help_text
    assert f"training on the others. Default: {MOST_FOLDS}, or fewer" in help_text
    assert "Default: the rate of the detector" in " ".join(
        onward("watch", "run", "--help").out.replace("\u2502", " ").split()
    )


def test_json_lines_from_a_pipe_need_no_form(onward: Command, source: Path, tmp_path: Path) -> None:
    how = ["--key", "key", "--event", "event", "--held-out", "50%", "--steps", "1"]
    lines = rows([["start", "read", "sync", "stop"]] * 30).encode()
    ran = onward("watch", "learn", "-", "-o", tmp_path / "a.onward", *how, "--form", "jsonl", data=lines)
    assert ran.code == 0, ran.err
    ran = onward("watch", "learn", "-", "-o", tmp_path / "b.onward", *how, data=lines)
    assert ran.code == 0, ran.err
    assert (tmp_path / "a.onward").read_bytes() == (tmp_path / "b.onward").read_bytes()
    ran = onward("watch", "learn", source, "-o", tmp_path / "b.onward", "--log", "--form", "csv")
    assert ran.code == 2 and "either --form or --log" in ran.err


def test_log_lines_from_a_pipe_are_learned(onward: Command, tmp_path: Path) -> None:
    """They are read twice, first for the templates, but a pipe can only be read once."""
    lines = "".join(f"{what} job_{i} in {i} ms\n" for i in range(40) for what in ("began", "ended"))
    (tmp_path / "a.log").write_text(lines)
    how = ["--log", "--key-regex", r"job_\d+", "--held-out", "50%", "--steps", "1"]
    ran = onward("watch", "learn", "-", "-o", tmp_path / "a.onward", *how, data=lines.encode())
    assert ran.code == 0, ran.err
    assert onward("watch", "learn", tmp_path / "a.log", "-o", tmp_path / "b.onward", *how).code == 0
    assert (tmp_path / "a.onward").read_bytes() == (tmp_path / "b.onward").read_bytes()


@pytest.mark.parametrize(
    ("how", "message", "remedy"),
    [
        (["--log", "--key-regex", "zzz"], "no match of zzz", "--key-regex"),
        (["--event", "nope", "--key", "key"], "no column 'nope' among key, event", "--event"),
    ],
)
def test_the_hint_does_not_repeat_the_options_given(
    how: list[str], message: str, remedy: str, onward: Command, source: Path, tmp_path: Path
) -> None:
    ran = onward("watch", "learn", source, "-o", tmp_path / "a.onward", *how)
    assert ran.code == 2 and message in ran.err
    hint = ran.err.partition("hint: ")[2]
    assert remedy in hint and "or --log" not in hint


def test_an_output_that_cannot_be_written_is_reported_before_learning(
    onward: Command, source: Path, tmp_path: Path
) -> None:
    how = ["--key", "key", "--event", "event", "--steps", "1"]
    ran = onward("watch", "learn", source, "-o", tmp_path / "no" / "a.onward", *how)
    assert ran.code == 1 and "cannot write" in ran.err and "calibrating" not in ran.err
    ran = onward("watch", "learn", source, "-o", source, *how)
    assert ran.code == 2 and "is a source" in ran.err


def test_a_file_that_is_not_a_detector_is_reported_with_a_remedy(
    onward: Command, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.onward").write_bytes(b"not a detector")
    for name in ("none.onward", "broken.onward"):
        ran = onward("watch", "run", tmp_path / name, source)
        assert ran.code == 2 and "onward watch learn" in ran.err.partition("hint: ")[2]
