"""Checks that the published figures are the measured ones, and tests the keystroke simulation."""

import importlib
from collections import Counter
from types import ModuleType

import numpy as np
import pytest
from tests.documentation import ROOT


@pytest.fixture(autouse=True)
def _in_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def test_the_results_page_matches_the_result_files() -> None:
    report = importlib.import_module("report")
    assert (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8") == report.report()


def test_the_readme_table_matches_the_result_files() -> None:
    headlines = importlib.import_module("headlines")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == headlines.with_headlines(readme)
    assert headlines.headlines() in readme
    assert len(list(headlines.headline_rows())) <= 10


@pytest.fixture
def keystrokes() -> ModuleType:
    return importlib.import_module("keystrokes")


def test_the_simulated_user_accepts_right_completions_that_save_a_key(keystrokes: ModuleType) -> None:
    shown = {"": ["the", "there"], "there": ["s", " cat", " can"], "there ": ["cap", "can"]}
    saved = keystrokes.shares_saved("there can", lambda typed, count: shown.get(typed, [])[:count])
    # ghost: "the" is wrong inside "there", so is "s": five keys; a space; "cap" is wrong: three keys
    assert saved["ghost"] == 0
    assert saved["list"] == pytest.approx(1 - 2 / 9)  # "there", " can"


def test_the_ngram_interpolates_contexts_of_all_lengths(keystrokes: ModuleType) -> None:
    text = "abracadabra abba "
    symbols = sorted(set(text))
    ids = np.array([symbols.index(char) for char in text])
    grams = keystrokes.Grams(keystrokes.ngrams_of(ids, len(symbols), longest=4))
    for context in ("", "a", "ab", "bra", "cc"):
        expected = np.full(len(symbols), 1 / len(symbols))
        for start in range(len(context), -1, -1):
            tail = context[start:]
            places = [i + len(tail) for i in range(len(text) - len(tail)) if text.startswith(tail, i)]
            seen = Counter(text[i] for i in places)
            if seen:
                counts = np.array([seen[char] for char in symbols])
                expected = (counts + len(seen) * expected) / (counts.sum() + len(seen))
        found = grams.after(bytes(symbols.index(char) for char in context))
        np.testing.assert_allclose(found, expected)
        assert found.sum() == pytest.approx(1.0)


def test_an_ngram_that_learned_a_text_is_one_of_both_texts(keystrokes: ModuleType) -> None:
    ids, symbols, longest = np.array([0, 1, 2, 0, 1, 3, 2, 0, 1, 2, 2, 3, 1, 0]), 4, 3
    grams = keystrokes.Grams(keystrokes.ngrams_of(ids[:8], symbols, longest))
    before = grams.after(b"\0\1")
    for at in range(8, len(ids)):
        grams.learn(bytes(ids[at - longest + 1 : at].tolist()), int(ids[at]))
    whole = keystrokes.Grams(keystrokes.ngrams_of(ids, symbols, longest))
    for context in (b"", b"\1", b"\0\1", b"\3\3"):
        np.testing.assert_allclose(grams.after(context), whole.after(context))
    assert not np.allclose(before, grams.after(b"\0\1"))
