import json

import pytest

from onward.printable import printable, printable_json, without_controls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, größer, 日本", "plain text, größer, 日本"),
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("user\u202egpj.exe\u2066", r"user\u202egpj.exe\u2066"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_controls_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


def test_characters_to_keep_stay() -> None:
    assert printable("a\n\x1bb", keep="\n") == "a\n\\x1bb"


def test_json_is_printable_and_means_the_same() -> None:
    data = {"\x9b": ["größer", "\x1b]0;x\x07", "\u202e", "\x7f", "\ud83d", "\U000e0001", "\u2028", "\n"]}
    text = printable_json(data)
    assert text.isprintable()
    assert "größer" in text
    assert json.loads(text) == data
    with pytest.raises(ValueError, match="not JSON compliant"):
        printable_json(float("nan"))


def test_controls_are_replaced_one_for_one() -> None:
    assert without_controls("a\n\x1b[1m\tb") == "a\n\ufffd[1m\tb"
    assert without_controls("a\n\tb", keep="\n") == "a\n\ufffdb"
