"""`onward watch run` and `onward watch ok` from the command line."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows, session

from onward.cli.app import run

Command = Callable[..., Any]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five normal sessions, an anomalous one, and a broken line."""
    path = tmp_path / "new.jsonl"
    normal = [["start", "read", "read", "sync", "stop"]] * 5
    path.write_text(rows([*normal, ["start", "write", "sync", "read", "stop"]]) + "{broken\n")
    return path


def test_run_prints_a_line_for_each_alarm(onward: Command, watching: Path, log: Path) -> None:
    ran = onward("watch", "run", watching, log)
    assert ran.code == 3
    (line,) = ran.out.splitlines()
    cells = line.split("\t")
    assert cells[0] == "-"
    assert cells[1] == "s5"
    assert cells[2].startswith("p<=")  # no further event could change the verdict
    assert '"s5"' in cells[3]
    assert "expected" in cells[4]
    assert cells[5] == "incident 1"
    assert "6 sequences evaluated, 0 open, 1 flagged in 1 incidents" in ran.err
    assert "1 line could not be read (line 31" in ran.err


def test_an_early_alarm_shows_a_bound_and_a_new_event(
    onward: Command, watching: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text(rows([["start", "stop", "stop", "stop", "start"]]))
    ran = onward("watch", "run", watching, path, "--false-alarms", "10%")
    _, key, chance, _, why, _ = ran.out.splitlines()[0].split("\t")
    assert key == "s0" and chance.startswith("p<=0.0")
    assert why.startswith("expected ") and why.endswith("bits, new here)")  # "stop" is known, but not here
    assert "5 events, 1 sequences evaluated" in ran.err


def test_run_in_json(onward: Command, watching: Path, log: Path) -> None:
    ran = onward("watch", "run", watching, "-", "--json", data=log.read_bytes())
    assert ran.code == 3
    alarm, incident, summary = (json.loads(line) for line in ran.out.splitlines())
    assert alarm["key"] == "s5"
    assert (alarm["type"], alarm["incident"], alarm["repeats"]) == ("alarm", 1, 0)
    assert (incident["type"], incident["alarms"], incident["names"]) == ("incident", 1, ["s5"])
    assert incident["closed"]
    assert len(alarm["expected"]) == 3
    assert summary["summary"]["unparsable"] == 1
    assert summary["summary"]["flagged"] == 1


@pytest.fixture(scope="module")
def timed_watching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector for JSON lines with times."""
    folder, chance = tmp_path_factory.mktemp("timed"), random.Random(0)
    (folder / "normal.jsonl").write_text("".join(timed(1, session(chance), first=i) for i in range(300)))
    path = folder / "timed.onward"
    how = ["--key", "key", "--event", "event", "--time", "time"]
    how += ["--held-out", "50%", "--steps", "20", "--false-alarms", "2%"]
    assert run(["watch", "learn", str(folder / "normal.jsonl"), "-o", str(path), *how]) == 0
    return path


def timed(count: int, events: list[str], first: int = 0) -> str:
    """Returns the rows of sessions that are an hour apart."""
    return "".join(
        json.dumps({"key": f"s{i}", "event": event, "time": 3600 * i + 1_700_000_000}) + "\n"
        for i in range(first, first + count)
        for event in events
    )


class TestTheBudget:
    def test_it_limits_incidents(self, onward: Command, timed_watching: Path, tmp_path: Path) -> None:
        """One kind of trouble an hour, for ten days."""
        log, alarms = tmp_path / "new.jsonl", tmp_path / "alarms.jsonl"
        log.write_text(timed(240, ["stop", "start"] * 6))
        command = ("watch", "run", timed_watching, log, "--idle", "10m", "--json", "--alarms", alarms)
        ran = onward(*command, "--alarms", "1/week")
        summary = json.loads(ran.out.splitlines()[-1])["summary"]
        assert ran.code == 3
        assert (summary["budget"], summary["sequences"]) == ("1/week", 240)
        assert 0 < summary["incidents"] < 200 < summary["incidents"] + summary["suppressed"] <= 240
        assert (
            f"flagged sequences suppressed to keep the budget of 1/week: {summary['suppressed']}" in ran.err
        )
        assert alarms.read_text().count('"type": "alarm"') == summary["flagged"]

    def test_records_without_times_are_refused(self, onward: Command, watching: Path, log: Path) -> None:
        ran = onward("watch", "run", watching, log, "--alarms", "3/day")
        assert (ran.code, ran.out) == (2, "")
        assert "a budget of 3/day needs records with times" in ran.err

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["3/month"], "expected a number of incidents per hour, day or week, got '3/month'"),
            (["3/day", "1/hour"], "at most one budget and one file, got 3/day and 1/hour"),
            (["a.jsonl", "b.jsonl"], "at most one budget and one file, got a.jsonl and b.jsonl"),
        ],
    )
    def test_other_values_are_refused(
        self, given: list[str], message: str, onward: Command, watching: Path, log: Path
    ) -> None:
        ran = onward("watch", "run", watching, log, *(f"--alarms={value}" for value in given))
        assert ran.code == 2
        assert message in ran.err
        assert "hint: write it as" in ran.err


@pytest.fixture(scope="module")
def lines_watching(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of raw log lines without a key."""
    folder = tmp_path_factory.mktemp("lines")
    kinds = ["cache hit for page {}", "job {} was stored", "user {} opened a session"]
    (folder / "normal.log").write_text("".join(kinds[i % 3].format(i) + "\n" for i in range(900)))
    path = folder / "lines.onward"
    how = ["--log", "--held-out", "50%", "--steps", "20", "--false-alarms", "2%"]
    assert run(["watch", "learn", str(folder / "normal.log"), "-o", str(path), *how]) == 0
    return path


@pytest.mark.slow
def test_thousands_of_lines_of_new_kinds_are_reported_once_over_all_runs(
    onward: Command, lines_watching: Path, tmp_path: Path
) -> None:
    log, state, alarms = tmp_path / "new.log", tmp_path / "watch.db", tmp_path / "alarms.jsonl"
    kinds = ["disk {} is lost", "cache hit for page {}", "fan {} stopped at once"]
    command = ("watch", "run", lines_watching, log, "--state", state, "--alarms", alarms)
    log.write_text("".join(kinds[i % 3].format(i) + "\n" for i in range(3000)))
    ran = onward(*command)
    assert ran.code == 3
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [row[4].split(";")[0] for row in rows] == [
        "first seen: disk <*> is lost",
        "first seen: fan <*> stopped at once",
    ]
    with log.open("a") as file:
        file.write("disk 9 is lost\n" * 10)
    ran = onward(*command, "--end")
    assert ran.code == 3  # sequences were flagged, but they are no news
    rows = [line.split("\t") for line in ran.out.splitlines()]
    assert [(row[2], row[3].split(" in ")[0], row[4]) for row in rows] == [
        ("closed", "1,010 alarms", "first seen: disk <*> is lost"),
        ("closed", "1,000 alarms", "first seen: fan <*> stopped at once"),
    ]
    notices = [json.loads(line) for line in alarms.read_text().splitlines()]
    assert [notice["type"] for notice in notices] == ["alarm"] * 2010 + ["incident"] * 2
    assert {notice["incident"] for notice in notices} == {1, 2}


def test_the_exit_code_is_0_if_nothing_is_flagged(onward: Command, watching: Path, tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(rows([["start", "read", "read", "sync", "stop"]] * 3))
    ran = onward("watch", "run", watching, tmp_path / "good.jsonl")
    assert (ran.code, ran.out) == (0, "")


def test_a_rate_that_can_flag_nothing_is_reported(onward: Command, watching: Path, log: Path) -> None:
    ran = onward("watch", "run", watching, log, "--false-alarms", "0.01%")
    assert (ran.code, ran.out) == (0, "")
    assert "too few for a rate of 0.01%: nothing will be flagged" in ran.err
    assert "nothing will be flagged" not in onward("watch", "run", watching, log).err


def test_a_source_without_a_readable_line_is_an_error(
    onward: Command, watching: Path, tmp_path: Path
) -> None:
    """If the format of a log has changed, nothing would ever be flagged."""
    (tmp_path / "other.jsonl").write_text('{"host": 1}\n' * 7)
    ran = onward("watch", "run", watching, tmp_path / "other.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "found none: 7 lines could not be read" in ran.err and "no column 'event'" in ran.err
    assert "JSON lines with the columns key, event" in ran.err.partition("hint: ")[2]
    (tmp_path / "empty.jsonl").write_text("")
    assert onward("watch", "run", watching, tmp_path / "empty.jsonl").code == 0


def test_a_rate_replaces_the_top_k_rule(onward: Command, watching: Path, log: Path, tmp_path: Path) -> None:
    from onward.watch.detector import Detector  # noqa: PLC0415

    path = tmp_path / "ranks.onward"
    Detector.load(watching).with_rate(top_k=5).save(path)
    by_ranks = onward("watch", "run", path, log, "--json").json["summary"]
    assert by_ranks["false_alarms_asked"] is None
    by_rate = onward("watch", "run", path, log, "--false-alarms", "2%", "--json").json["summary"]
    assert by_rate["false_alarms_asked"] == 0.02 and by_rate["flagged"] == 1


@pytest.mark.slow
def test_a_signal_ends_a_followed_watch(
    process: Callable[..., subprocess.Popen[bytes]], watching: Path, log: Path, tmp_path: Path
) -> None:
    text, state = log.read_text(), tmp_path / "watch.db"
    log.write_text(text[:300])
    alarms = tmp_path / "alarms.jsonl"
    child = process(
        "watch", "run", watching, log, "--follow", "--state", state, "--alarms", alarms, "--idle", "0.5s"
    )
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    with log.open("a") as file:
        file.write(text[300:])
    while not (alarms.exists() and alarms.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 3, err
    assert b"s5" in out
    assert b"sequences evaluated" in err


@pytest.mark.slow
def test_a_log_that_is_replaced_by_a_link_or_a_pipe_gives_nothing_away_and_stops_nothing(
    process: Callable[..., subprocess.Popen[bytes]], watching: Path, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "logs").mkdir()
    secret, followed = tmp_path / "root" / "secret", tmp_path / "logs" / "followed.jsonl"
    secret.write_text(log.read_text().replace("s5", "secret"))
    alarms, messages = tmp_path / "alarms.jsonl", tmp_path / "messages"
    followed.touch()
    with messages.open("wb") as file:
        child = process(
            "watch", "run", watching, followed, "--follow", "--alarms", alarms, "--idle", "0.5s", stderr=file
        )
    for replace, said in (
        (lambda: followed.symlink_to(secret), "outside the folder of the log"),
        (lambda: os.mkfifo(followed), "is a named pipe"),
    ):
        wait_until(alarms.exists)
        followed.unlink()
        replace()
        wait_until(lambda said=said: said in messages.read_text())
    followed.unlink()
    followed.write_text(log.read_text())
    wait_until(lambda: bool(alarms.read_text()))
    child.send_signal(signal.SIGTERM)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 3
    assert b"s5" in out
    assert b"secret" not in out
    assert "secret" not in alarms.read_text()
    assert alarms.stat().st_mode & 0o777 == 0o600


def wait_until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_second_watch_on_one_state_is_refused(
    onward: Command, watching: Path, log: Path, tmp_path: Path
) -> None:
    from onward.watch.stream.store import opened_store  # noqa: PLC0415

    with opened_store(tmp_path / "watch.db"):
        ran = onward("watch", "run", watching, log, "--state", tmp_path / "watch.db")
    assert ran.code == 2
    assert "another process is using" in ran.err


@pytest.mark.parametrize("idle", ["soon", "0", "-1h"])
def test_an_idle_time_that_is_not_a_time_is_refused(
    idle: str, onward: Command, watching: Path, log: Path
) -> None:
    ran = onward("watch", "run", watching, log, f"--idle={idle}")
    assert ran.code == 2
    assert "--idle must be a time" in ran.err


def test_a_sequence_marked_as_normal_is_no_longer_flagged(
    onward: Command, watching: Path, log: Path, tmp_path: Path
) -> None:
    model, state = tmp_path / "new.onward", tmp_path / "watch.db"
    assert onward("watch", "run", watching, log, "--state", state, "--end").code == 3
    ran = onward("watch", "ok", watching, "--key", "s5", "--state", state, "-o", model, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["flagged"] == {"before": True, "after": False}
    assert ran.json["p_value"]["after"] > ran.json["p_value"]["before"]
    assert onward("watch", "run", model, log).code == 0
    assert onward("watch", "ok", watching, log, "--key", "s5", "-o", tmp_path / "b.onward").code == 0
    assert onward("watch", "ok", watching, log, "--key", "nobody").code == 2
    assert onward("watch", "ok", watching, "--key", "s5").code == 2


def test_a_log_in_another_format_is_reported(onward: Command, tmp_path: Path) -> None:
    """Lines without the header that was learned continue a record, but not before the first record."""
    stamped = "".join(f"2026-11-30 10:{i // 60:02}:{i % 60:02} INFO cache hit {i}\n" for i in range(300))
    (tmp_path / "app.log").write_text(stamped)
    (tmp_path / "other.log").write_text("no time\nand no level\n")
    detector = tmp_path / "app.onward"
    assert onward("watch", "learn", tmp_path / "app.log", "-o", detector, "--steps", "2").code == 0
    ran = onward("watch", "run", detector, tmp_path / "other.log")
    assert "2 lines could not be read" in ran.err


def test_a_status_that_is_new_and_a_duration_that_is_too_long_are_reported(
    onward: Command, tmp_path: Path
) -> None:
    def request(number: int, status: int, took: int) -> str:
        head = f"2026-11-30 10:{number // 60:02}:{number % 60:02} INFO [req-{number:08x}]"
        return f"{head} http: received {number}\n{head} http: responded {status} in {took} ms\n"

    normal = [request(i, 200 if i % 20 else 404, 20 + i * 37 % 70) for i in range(300)]
    odd = [request(1, 500, 30), request(2, 200, 98231), request(3, 200, 45000), request(4, 200, 30)]
    (tmp_path / "app.log").write_text("".join(normal))
    (tmp_path / "today.log").write_text("".join(odd))
    detector, rate = tmp_path / "app.onward", ("--false-alarms", "5%")
    assert onward("watch", "learn", tmp_path / "app.log", "-o", detector, "--steps", "20", *rate).code == 0
    ran = onward("watch", "run", detector, tmp_path / "today.log")
    assert ran.code == 3
    status, slow = ran.out.splitlines()[:2]  # the third request joins the incident of the second
    assert "first seen: INFO http responded 500 in <*> ms" in status
    words = "98,231 ms; 99 % of the values in training are at most 8"
    assert words in slow and "45,000" not in ran.out
    explained = onward("watch", "explain", detector, tmp_path / "today.log", "--key", "req-00000002")
    assert words in explained.out
    page = tmp_path / "page.html"
    onward("watch", "explain", detector, tmp_path / "today.log", "--key", "req-00000002", "--html", page)
    assert words in page.read_text()
