"""Pages: escaping, the content security policy, and the colours."""

import io

import pytest
from jinja2 import UndefinedError

from onward.html import SURPRISE_LEVELS, render, render_to, static_file, surprise_class


def test_the_legend_has_one_colour_per_level() -> None:
    legend = render("legend.html.j2")
    assert [f'class="s{level}"' in legend for level in range(SURPRISE_LEVELS + 1)] == [True] * 10 + [False]
    assert ">9+<" in legend


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render_to(io.BytesIO(), "score.html.j2", title="only a title")


def test_surprise_classes_cover_all_surprises() -> None:
    assert [surprise_class(bits) for bits in (-0.1, 0.0, 1.5, 9.0, 80.0)] == ["s0", "s0", "s1", "s9", "s9"]


def test_every_surprise_class_has_a_style() -> None:
    style = static_file("reading.css").read_text(encoding="utf-8")
    assert all(f".s{level} {{" in style for level in range(SURPRISE_LEVELS))
