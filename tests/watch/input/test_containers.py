"""Container logs: lines are unwrapped, and their parts joined, also by a process that continues."""

import json

import pytest

from onward.watch.input.containers import container_of
from onward.watch.input.format import Container, InputFormat
from onward.watch.input.log_templates import Templates
from onward.watch.input.parsers import RecordParser, make_parser

TIME = "2026-11-01T10:00:00.5Z"


def wrapped(kind: Container, content: str, *, is_last: bool = True, stream: str = "stdout") -> bytes:
    if kind == "cri":
        return f"{TIME} {stream} {'F' if is_last else 'P'} {content}".encode()
    end = "\n" if is_last else ""
    return json.dumps({"log": content + end, "stream": stream, "time": TIME}).encode()


def parser(kind: Container) -> RecordParser:
    source = InputFormat("log", container=kind, lenient=True)
    return make_parser(source, Templates(["open <*>", "read <*> to the end"]))


@pytest.mark.parametrize("kind", ["cri", "docker"])
def test_parts_of_both_streams_are_joined_across_processes(kind: Container) -> None:
    first = parser(kind)
    assert first.read(wrapped(kind, "read 7", is_last=False), 1) == []
    (record,) = first.read(wrapped(kind, "open 3", stream="stderr"), 2)
    assert (record.event, record.time) == ("open <*>", 1793527200.5)
    second = parser(kind)
    second.restore(json.loads(json.dumps(first.state)))
    (record,) = second.read(wrapped(kind, " to the end"), 3)
    assert (record.event, record.line, record.number) == ("read <*> to the end", "read 7 to the end", 3)
    assert second.finish() == []


@pytest.mark.parametrize("kind", ["cri", "docker"])
def test_a_part_is_a_line_at_the_end_of_the_source(kind: Container) -> None:
    reader = parser(kind)
    reader.read(wrapped(kind, "open 3", is_last=False), 4)
    (record,) = reader.finish()
    assert (record.event, record.number) == ("open <*>", 4)


@pytest.mark.parametrize("kind", ["cri", "docker"])
def test_other_lines_are_counted_and_a_damaged_state_is_refused(kind: Container) -> None:
    reader = parser(kind)
    assert reader.read(b"open 3", 1) == [] and reader.read(b'{"log": 3}', 2) == []
    assert reader.unreadable.count == 2
    with pytest.raises(ValueError, match="valid"):
        reader.restore({"stdout": 3})


def test_nearly_all_lines_tell_the_kind() -> None:
    lines = [wrapped("cri", f"line {i}").decode() for i in range(20)]
    assert container_of([*lines, "cut"]) == "cri"
    assert container_of([*lines, *["other"] * 20]) is None
    assert container_of([]) is None
