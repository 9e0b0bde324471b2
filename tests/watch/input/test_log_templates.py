"""Templates keep what matters in a line, whatever the order of the lines that they are mined from."""

import random

import pytest

from onward.watch.input.log_templates import Templates
from onward.watch.input.masks import LONGEST, mask_line

LOG = [f"Received block blk_{i} of size {i * 7} from 10.0.0.{i}" for i in range(30)]
LOG += [f"Deleting block blk_{i} file /data/{i}" for i in range(30)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("took 12.5 ms at 2026-01-02T03:04:05Z", "took <*> ms at <*>"),
        ("from 10.0.0.1:8080 to /10.1.2.3:50010", "from <*> to /<*>"),
        ("blk_-1608999687919862906 terminating", "blk_<*> terminating"),
        ("id 0xDEADbeef and 550e8400-e29b-41d4-a716-446655440000", "id <*> and <*>"),
        ("R02-M1-N0 deadbeef facade", "R<*>-M<*>-N<*> deadbeef facade"),
        ("to fe80::c6b3:1ff:fecd:467f on", "to <*> on"),
        ("Nov  1 10:00:00 started", "<*> started"),
        ("since Sunday, November 1 2026 or 01/Nov/2026:10:00:00 +0000", "since <*> or <*>"),
        ("at 10:00:00 PM CET, may 5 go", "at <*>, <*> go"),
        ("may go in march", "may go in march"),
    ],
)
def test_variable_parts_are_masked(line: str, expected: str) -> None:
    assert mask_line(line) == expected


def words_that_vary(count: int) -> list[str]:
    return [f"user {''.join(random.Random(i).choices('abcdefgh', k=7))} came in" for i in range(count)]


def test_words_of_a_closed_set_stay_and_others_are_parameters() -> None:
    lines = [
        f"{how} password for {'root' if i % 3 else 'deploy'} port {i}"
        for i in range(40)
        for how in ("Accepted", "Failed")
    ]
    assert set(Templates.mine(lines + words_that_vary(50)).texts) == {
        "Accepted password for root port <*>", "Accepted password for deploy port <*>",
        "Failed password for root port <*>", "Failed password for deploy port <*>", "user <*> came in",
    }  # fmt: skip


def test_templates_do_not_depend_on_the_order_of_lines() -> None:
    lines = [*LOG, *words_that_vary(3000)] * 2
    expected = Templates.mine(lines).texts
    for seed in range(3):
        random.Random(seed).shuffle(lines)
        assert Templates.mine(lines).texts == expected


def test_every_line_has_the_template_that_was_mined_from_it() -> None:
    lines = [
        *LOG, *words_that_vary(20), "CMD (run a)", "CMD (run b)", "f(1, 2) = 3", "f(x)", "(a)",
        "[x] y[1]: z(2)",
        "k=/a/b/c?d=1&e=2", '"GET /a/b HTTP/1.1" 200', "<*> <*>", "=", "a  b\tc", "x" * 3000, "y " * 3000,
    ]  # fmt: skip
    mined = Templates.mine(lines)
    stored = Templates(mined.to_json())
    for line in lines:
        assert mined.event(line) in mined.texts, line
        assert stored.event(line) == mined.event(line)


def test_a_line_of_a_new_kind_is_a_template_of_its_own() -> None:
    templates = Templates.mine(LOG)
    assert (
        templates.event("Verified block blk_7 of size 9 from 10.0.0.1")
        == "Verified block blk_<*> of size <*> from <*>"
    )
    assert templates.event("Out of memory at 17") == "Out of memory at <*>"


def test_lists_of_any_length_and_numbered_names_are_one_kind() -> None:
    lines = [
        f"delete {' '.join(f'blk_{j}' for j in range(1, i % 9 + 2))} on {'dn' if i % 2 else 'an'}{i}"
        for i in range(40)
    ]
    assert len(Templates.mine(lines).texts) == 1


def test_memory_is_bounded_by_distinct_lines() -> None:
    """More distinct lines than are kept: all have the same template, so it is found nevertheless."""
    assert Templates.mine(words_that_vary(5000)).texts == ("user <*> came in",)


def test_a_long_line_is_cut_between_words() -> None:
    assert mask_line("word " * LONGEST).endswith(" word")
