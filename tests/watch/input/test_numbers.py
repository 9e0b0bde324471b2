"""Numbers with few values are part of an event, and measures far beyond the learned values make one."""

import json
import random
from collections.abc import Callable, Iterable

import pytest

from onward.errors import InputError
from onward.watch.input.detection import FormatOptions, detect_format
from onward.watch.input.excess import describe_excess
from onward.watch.input.log_templates import Templates
from onward.watch.input.number_statistics import NumberMiner
from onward.watch.input.numbers import ColumnNumbers, numbers_from_json, numbers_to_json
from onward.watch.input.parsers import learn_numbers, make_parser, mine_templates

Numbers = Callable[[random.Random, int], object]


def learned(lines: Iterable[str]) -> Templates:
    lines = list(lines)
    templates = Templates.mine(lines)
    miner = NumberMiner(templates)
    for line in lines:
        miner.event(line)
    return Templates(
        templates.texts, numbers_from_json(json.loads(json.dumps(numbers_to_json(miner.numbers()))))
    )


def lines_with(number: Numbers, text: str = "finished job with {} left", count: int = 600) -> list[str]:
    chance = random.Random(1)
    return [text.format(number(chance, i)) for i in range(count)]


def status(chance: random.Random, _: int) -> int:
    return chance.choice([200] * 40 + [404])


def test_a_number_with_few_values_is_a_word() -> None:
    templates = learned(lines_with(status, "answered {} at once"))
    assert templates.event("answered 200 at once") == "answered 200 at once"
    assert templates.event("answered 500 at once") == "answered 500 at once"


def test_a_number_of_another_length_is_masked_so_that_kinds_are_few() -> None:
    templates = learned(lines_with(status, "answered {} at once"))
    assert {templates.event(f"answered {i}000 at once") for i in range(1, 90)} == {"answered <*> at once"}


def test_a_status_and_a_size_beside_each_other_are_two_numbers() -> None:
    templates = learned(
        lines_with(
            lambda chance, i: f"{status(chance, i)} {chance.randrange(2000, 9000)}", 'GET / HTTP/1.1" {}'
        )
    )
    assert templates.event('GET / HTTP/1.1" 503 4210') == 'GET / <*>" 503 <*>'


def test_a_status_that_was_always_the_same_is_known_by_its_name() -> None:
    for text in (
        "responded {} to the client",
        "job exited with {}",
        "done, status={} here",
        "exit({}) called",
    ):
        templates = learned(lines_with(lambda *_: 0, text))
        assert templates.event(text.format(1)) == text.format(1)
    templates = learned(lines_with(lambda *_: 0))
    assert templates.event("finished job with 1 left") == "finished job with <*> left"


@pytest.mark.parametrize(
    "number",
    [
        lambda chance, i: i // 2,  # a counter
        lambda chance, i: chance.randrange(8),  # a worker, or the length of a list
        lambda chance, i: chance.choice([8080, 50010]),  # a port
        lambda chance, i: 2025 + i // 500,  # a year
        lambda chance, i: chance.choice([4711, 4712]),  # a process
        lambda chance, i: 30 * (i // 150),  # a state that changes rarely
        lambda chance, i: chance.choice([200] * 300 + [3, 7, 11, 19, 64]),  # most values never recur
    ],
)
def test_other_numbers_vary_freely(number: Numbers) -> None:
    templates = learned(lines_with(number))
    assert {templates.event(line) for line in lines_with(number)} == {"finished job with <*> left"}
    assert templates.event("finished job with 9 left") == "finished job with <*> left"


def milliseconds(chance: random.Random, _: int) -> int:
    return int(chance.lognormvariate(4, 0.5))


def test_a_measure_far_beyond_the_learned_ones_is_another_event() -> None:
    lines = lines_with(milliseconds, "answered in {} ms", 3000)
    templates = learned(lines)
    assert {templates.event(line) for line in lines} == {"answered in <*> ms"}
    first, second = templates.event("answered in 98231 ms"), templates.event("answered in 45000 ms")
    assert first == second != "answered in <*> ms"
    assert first.startswith("answered in <*> ms [in <*> ms above ")
    words = describe_excess(first, "2026-01-01 10:00:00,123456 [77] answered in 98231 ms")
    assert words.startswith("98,231 ms; 99.9 % of the values in training are at most 2")
    assert describe_excess(first, "another line").startswith("in <*> ms above ")
    assert describe_excess("answered in <*> ms", "answered in 98231 ms") == ""


def test_a_unit_may_be_part_of_the_word() -> None:
    templates = learned(lines_with(milliseconds, "answered in {}ms. Next"))
    event = templates.event("answered in 98231ms. Next")
    assert describe_excess(event, "answered in 98231ms. Next").startswith("98,231")


@pytest.mark.parametrize(
    "number",
    [
        lambda chance, i: i * 17,  # a counter
        lambda chance, i: 1_700_000_000 + i + chance.randrange(3),  # a time
        lambda chance, i: 1000 + i // 5 + 500_000 * (i % 2),  # ids of two machines
        lambda chance, i: chance.choice([1, 5]),  # few values
        lambda chance, i: f"10.0.0.{chance.randrange(200)}",
    ],
)
def test_counters_ids_and_times_have_no_bound(number: Numbers) -> None:
    templates = learned(lines_with(number))
    assert templates.event("finished job with 999999999999 left") == "finished job with <*> left"


def test_an_id_is_known_by_its_name() -> None:
    for text in ("user {} came in", "thread-pool: job {} done", "uid={} is here", "port {} opened"):
        templates = learned(lines_with(lambda chance, _: chance.randrange(900), text))
        assert templates.event(text.format(10**9)) == text.format("<*>")


@pytest.mark.parametrize(
    "number", [milliseconds, lambda c, _: int(c.paretovariate(1)), lambda c, _: c.randrange(900)]
)
def test_hardly_any_later_value_is_beyond_the_bound(number: Numbers) -> None:
    lines = lines_with(number, count=22_000)
    templates = learned(lines[:2000])
    beyond = sum(templates.event(line) != "finished job with <*> left" for line in lines[2000:])
    assert beyond <= 4


def test_the_rules_need_a_hundred_lines() -> None:
    templates = learned(lines_with(milliseconds, count=99))
    assert templates.event("finished job with 9999999 left") == "finished job with <*> left"


def records_of(learned_from: list[bytes], used: list[bytes], options: FormatOptions) -> tuple[list[str], str]:
    """Returns the events of lines by a detector of others, and what was said about its format."""
    found = detect_format(learned_from, options)
    templates = mine_templates(found, learned_from) if found.has_templates else None
    numbers, measures = learn_numbers(found, templates, learned_from)
    templates = Templates(templates.texts, numbers) if templates else None
    parser = make_parser(found, templates, ColumnNumbers(measures))
    return [record.event for record in parser.records(used)], "\n".join(found.explain(is_detected=False))


def requests(count: int = 600) -> list[dict[str, object]]:
    chance = random.Random(2)
    return [
        {
            "time": f"2026-11-01T10:{i // 60:02}:{i % 60:02}Z",
            "msg": f"request {chance.choice(['of user', 'by robot'])} {i} done",
            "status": chance.choice([200] * 20 + [404]),
            "duration_ms": milliseconds(chance, i),
            "job_id": chance.randrange(10**6),
            "total": i * 3,
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("form", ["jsonl", "logfmt", "csv"])
def test_columns_have_codes_and_measures_too(form: str) -> None:
    def lines(rows: list[dict[str, object]]) -> list[bytes]:
        match form:
            case "jsonl":
                texts = [json.dumps(row) for row in rows]
            case "logfmt":
                texts = [" ".join(f"{k}={json.dumps(v)}" for k, v in row.items()) for row in rows]
            case _:
                texts = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        return [text.encode() for text in texts]

    rows = requests()
    odd = [rows[0] | {"status": 500}, rows[0] | {"duration_ms": 98231}, rows[0] | {"total": 10**9}]
    raw = lines(odd)
    events, said = records_of(lines(rows), raw, FormatOptions())
    assert "status" in said.splitlines()[0] and said.endswith("measures: duration_ms")
    assert "500" in events[0]
    assert " [duration_ms above " in events[1]
    value = "above 1," if form == "csv" else "98,231"  # a cell does not have the name of its column
    words = describe_excess(events[1], raw[-2].decode())
    assert words.startswith(f"duration_ms {value}")
    assert "; 99 % of the values in training are at most" in words
    assert "above" not in events[2]
    events, said = records_of(lines(rows), raw, FormatOptions(measures=("total",)))
    assert said.endswith("measures: total")
    assert "above" not in events[1]


def test_a_mask_in_the_line_itself_is_no_number() -> None:
    lines = lines_with(
        lambda chance, i: f"{status(chance, i)} in {milliseconds(chance, i)} ms", "answered {}"
    )
    templates = learned([*lines, "answered <*> in <*> ms"])
    for line in ("answered <*> in <*> ms", "answered <*> in 98231 ms", "answered 500 in <*> ms"):
        assert templates.event("answered 200 in 30 ms") == "answered 200 in <*> ms"
        assert templates.event(line) == "answered <*> in <*> ms"


def test_the_size_of_a_web_answer_is_a_measure() -> None:
    def line(size: int) -> bytes:
        return f'10.0.0.1 - - [01/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 {size} "-" "curl/8"'.encode()

    chance = random.Random(1)
    lines = [line(milliseconds(chance, i)) for i in range(300)]
    events, said = records_of(lines, [line(90), line(10**7)], FormatOptions())
    assert said.endswith("measures: bytes")
    assert events[0] == "GET /a 200"
    assert events[1].startswith("GET /a 200 [bytes above ")


def test_measures_need_columns() -> None:
    for lines in ([b"nothing but words"] * 5, [b"a b a", b"b a b"] * 5):
        with pytest.raises(InputError, match="have no columns, got measure"):
            detect_format(lines, FormatOptions(measures=("took",)))
    with pytest.raises(InputError, match="no column 'took' among"):
        detect_format([b'{"msg": "it is done"}'] * 5, FormatOptions(measures=("took",)))


def test_a_second_file_may_lack_a_measure() -> None:
    rows = [",".join(map(str, row.values())).encode() for row in requests()]
    head = ",".join(requests(1)[0]).encode()
    other = [b"msg,time,status", b"request of user 5 done,2026-11-02T10:00:00Z,200"]
    events, _ = records_of([head, *rows], [head, rows[0], *other], FormatOptions(key="status"))
    assert events[-1].startswith("request of user <*> done")
