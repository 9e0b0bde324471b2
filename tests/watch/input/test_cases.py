"""Inputs from public reports, which lie beside the repository. Each test has the right value of one kind."""

import gzip
import shutil
from pathlib import Path

import pytest

from onward.watch.input.detection import FormatOptions, detect_format
from onward.watch.input.format import InputFormat
from onward.watch.input.lines import read_lines
from onward.watch.input.log_files import find_log_files
from onward.watch.input.parsers import RecordParser, make_parser, mine_templates
from onward.watch.input.records import KeyedSequence, group_by_key


@pytest.fixture
def cases(shared_data: Path) -> Path:
    folder = shared_data.parent / "cases"
    if not folder.exists():
        pytest.skip(f"{folder} is missing")
    return folder


class Learned:
    """The format and the templates of files."""

    def __init__(self, *files: Path, **options: object) -> None:
        found = detect_format(read_lines(files), FormatOptions(**options), str(files[0]))  # type: ignore[arg-type]
        self.format = InputFormat.from_json(found.to_json())
        self._templates = mine_templates(found, read_lines(files)) if found.has_templates else None
        self.events = {event for sequence in self.read(*files) for event in sequence.events}

    def parser(self) -> RecordParser:
        return make_parser(self.format, self._templates)

    def read(self, *files: Path) -> list[KeyedSequence]:
        parser = self.parser()
        found = group_by_key(parser.records(read_lines(files)))
        assert not parser.unreadable.count, parser.unreadable.message()
        return found

    def new(self, *files: Path) -> list[str]:
        """Returns the keys of the sequences with events that were not learned."""
        return [found.key for found in self.read(*files) if not set(found.events) <= self.events]


def test_names_of_months_are_part_of_a_time(cases: Path) -> None:
    learned = Learned(cases / "month-names" / "nov.log")
    assert len(learned.events) == 3
    assert learned.new(cases / "month-names" / "dec.log") == []
    by_pattern = Learned(cases / "month-names" / "nov.log", form="log", key_regex=r"req-\d+")
    assert len(by_pattern.read(cases / "month-names" / "nov.log")) == 60
    assert by_pattern.new(cases / "month-names" / "dec.log") == []


def test_the_word_that_carries_the_meaning_stays(cases: Path) -> None:
    learned = Learned(cases / "syslog-header" / "normal.log")
    assert learned.format.key == "pid"
    assert len(learned.events) == 4
    assert len({tuple(s.events) for s in learned.read(cases / "syslog-header" / "new.log")}) == 6


def test_journald_has_microseconds_and_messages_of_bytes(cases: Path) -> None:
    learned = Learned(cases / "journald" / "normal.jsonl")
    assert (learned.format.key, learned.format.time) == ("_PID", "__REALTIME_TIMESTAMP")
    assert learned.events == {"open", "read", "close"}
    assert learned.new(cases / "journald" / "bytes.jsonl") == []
    times = [r.time for r in learned.parser().records(read_lines([cases / "journald" / "slow.jsonl"]))]
    assert times[1] == pytest.approx((times[0] or 0) + 5)
    assert Learned(cases / "journald" / "us.jsonl").format.time == "t"


@pytest.mark.parametrize("event", [(), ("message",)])
def test_free_text_in_a_column_has_templates(event: tuple[str, ...], cases: Path) -> None:
    learned = Learned(cases / "json-free-text" / "normal.jsonl", event=event)
    assert learned.format.key == "trace"
    assert len(learned.events) == 3
    assert learned.new(cases / "json-free-text" / "new.jsonl") == []
    if event:
        orders = {s.key: len(s.events) for s in learned.read(cases / "json-free-text" / "wrong.jsonl")}
        assert [key for key in orders if key.startswith("bad")] == ["bad1", "bad2", "bad3"]


def test_lines_of_containers_are_unwrapped_and_joined(cases: Path) -> None:
    folder = cases / "containers"
    cri, docker = Learned(folder / "cri.log"), Learned(folder / "docker.jsonl")
    assert (cri.format.container, docker.format.container) == ("cri", "docker")
    assert cri.events == docker.events == {"open req<*> ok", "read req<*> ok", "close req<*> ok"}
    assert len(cri.read(folder / "cri-part.log")) == 10
    (long,) = [s for s in cri.read(folder / "cri-part.log") if not set(s.events) <= cri.events]
    (joined,) = set(long.events) - cri.events
    assert joined.startswith("read req<*> xxxx") and joined.endswith("x ok")


def test_a_stack_trace_is_part_of_its_record(cases: Path) -> None:
    learned = Learned(cases / "containers" / "java-normal.log")
    assert learned.new(cases / "containers" / "java-new.log") == ["req-0900"]


def test_colours_are_stripped(cases: Path) -> None:
    learned = Learned(cases / "colours" / "colour.log")
    assert learned.new(cases / "colours" / "plain.log") == []
    assert not any(
        "\x1b" in event for event in learned.events | Learned(cases / "colours" / "osc.log").events
    )
    assert learned.new(cases / "colours" / "red.log") == ["req-0900"]


def test_a_rotated_set_is_read_in_order_of_time(cases: Path, tmp_path: Path) -> None:
    for path in (cases / "rotated-set").glob("app.log*"):
        shutil.copy(path, tmp_path)
    in_order = ["app.log.2.gz", "app.log.1", "app.log"]
    said: list[str] = []
    assert [path.name for path in find_log_files([f"{tmp_path}/app.log*"], said.append)] == in_order
    assert "app.log.2.gz, app.log.1, app.log" in said[0]
    assert [path.name for path in find_log_files([tmp_path])] == in_order
    learned = Learned(*find_log_files([tmp_path]))
    assert {tuple(s.events) for s in learned.read(*find_log_files([tmp_path]))} == {
        ("open req<*>", "read req<*>", "close req<*>")
    }
    assert gzip.decompress((tmp_path / "app.log.2.gz").read_bytes()).startswith(b"2026")


@pytest.mark.parametrize("name", ["spaces.csv", "clf-time.csv", "excel.csv"])
def test_csv_of_spreadsheets_is_read(name: str, cases: Path) -> None:
    learned = Learned(cases / "csv" / name)
    assert (learned.format.key, learned.format.event, learned.format.time) == ("session", ("action",), "when")
    assert {tuple(s.events) for s in learned.read(cases / "csv" / name)} == {("open", "read", "close")}
    options = {"key": "session", "event": ("action",), "time": "when"}
    assert Learned(cases / "csv" / name, **options).format == learned.format


@pytest.mark.parametrize("pattern", [None, r"blk_(\d+)|req=(\w+)"])
def test_alternatives_of_a_key_are_keys(pattern: str | None, cases: Path) -> None:
    file = cases / "key-alternatives" / "two.log"
    assert len(Learned(file, key_regex=pattern).read(file)) == 120
