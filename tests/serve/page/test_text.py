"""The page splits texts as the vocabulary does, and rounds numbers."""

import pytest
from tests.serve.page.browsing import Open, browsing

from onward.data.vocabulary import SymbolKind, Vocabulary


@pytest.mark.slow
@browsing
@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_spans_of_symbols_are_those_of_the_vocabulary(open_page: Open, kind: SymbolKind) -> None:
    text = "Don't \u00e9t\u00e9_1, \u4e2d\u6587 \U0001f600! " + "x" * 300 + " \u0661\u00bd\u2167"
    spans = open_page().evaluate(
        "([text, kind]) => import('/page/text.js').then(m => m.symbolSpans(text, { kind }))", [text, kind]
    )
    vocabulary = Vocabulary.of_text(text, kind)
    ids = vocabulary.encode(text)
    assert len(spans) == len(ids)
    if kind != "bytes":
        assert [text[first:last] for first, last in spans] == [vocabulary.decode([i]) for i in ids]


@pytest.mark.slow
@browsing
def test_probabilities_are_shown_without_exponents(open_page: Open) -> None:
    shown = open_page().evaluate(
        "() => import('/page/text.js').then(m => [0.831, 0.0042, 3e-6, 0].map((p) => m.percent(p)))"
    )
    assert shown == ["83.1", "0.42", "< 0.01", "0"]
