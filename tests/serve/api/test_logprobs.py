"""The JSON of log-probabilities: parts of a text join to the lists of the whole text."""

import json
from typing import Any

import numpy as np
import pytest

from onward.data.vocabulary import Vocabulary
from onward.serve.api.logprobs import LogprobsJson, LogprobsWriter, logprobs_object
from onward.serve.engine.tokens import SymbolNames, Tokens, log_probabilities, tokens_of

TEXT = "caf\u00e9 \u20ac5 \U0001f600!"


def written(parts: list[LogprobsJson]) -> dict[str, Any]:
    return json.loads(b"".join(logprobs_object(parts)))


def tokens(vocabulary: Vocabulary, text: str) -> Tokens:
    ids = vocabulary.encode(text).tolist()
    logits = np.random.default_rng(0).normal(size=(len(ids), len(vocabulary))).astype(np.float32)
    return tokens_of(log_probabilities(logits), ids, 3)


@pytest.mark.parametrize("vocabulary", [Vocabulary.of_bytes(), Vocabulary.of_text(TEXT, "characters")])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_parts_join_to_the_whole(vocabulary: Vocabulary, size: int) -> None:
    names, whole = SymbolNames(vocabulary), tokens(vocabulary, TEXT)
    parts = [Tokens(*(part[at : at + size] for part in whole)) for at in range(0, len(whole.symbols), size)]
    writer = LogprobsWriter(names)
    found = written([writer.write(part) for part in parts])
    assert found == written([LogprobsWriter(names).write(whole)])
    assert found["token_logprobs"] == whole.nats.tolist()
    assert [len(top) for top in found["top_logprobs"]] == [3] * len(whole.symbols)


def test_offsets_count_the_characters_before_each_symbol() -> None:
    vocabulary = Vocabulary.of_bytes()
    found = written([LogprobsWriter(SymbolNames(vocabulary), 10).write(tokens(vocabulary, "a\u20acb"))])
    assert found["text_offset"] == [10, 11, 11, 11, 12]
    assert found["tokens"] == ["a", r"bytes:\xe2", r"bytes:\x82", r"bytes:\xac", "b"]


def test_a_text_without_symbols_has_empty_lists() -> None:
    assert written([]) == {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
