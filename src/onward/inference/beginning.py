"""The beginning of a text: what a model reads before it writes or completes a text without a prime.

Training starts at any place of the corpus, so after BEGIN alone a model may continue from within a word.
After the end of a document, a paragraph or a sentence, it begins a new one.
"""

from typing import Any

import numpy as np
import torch

from onward.data.vocabulary import BEGIN, END, UNKNOWN, Vocabulary
from onward.inference.prediction import initial_state, predict
from onward.model import LanguageModel

_SENTENCE_ENDS = (". ", "\u0964 ", "\u3002", " ")
"""For a corpus without newlines: a full stop, the danda of Indian scripts, the full stop of Chinese and
Japanese, and if there is none of them, a space."""

_BLANK_LINES = 0.01
"""If a newline is at least this likely after a newline, the corpus has blank lines between paragraphs."""


def beginning(model: LanguageModel, vocabulary: Vocabulary, facts: dict[str, Any]) -> np.ndarray:
    """Returns the ids (n,) after which a text begins. They follow BEGIN.

    They are END if the corpus had several documents, else a newline (two if it has blank lines), else the end
    of a sentence. There are none if the vocabulary has none of these.

    Args:
        model: the model.
        vocabulary: its vocabulary.
        facts: the facts in its file.
    """
    corpus = facts.get("corpus")
    known = corpus if isinstance(corpus, dict) else {}
    if known.get("ends"):
        return np.array([END], np.int64)
    newline = vocabulary.encode("\n").astype(np.int64)
    if newline[0] != UNKNOWN and known.get("newlines", 1):
        has_blank_lines = _repeat_probability(model, int(newline[0])) >= _BLANK_LINES
        return newline.repeat(2) if has_blank_lines else newline
    for text in _SENTENCE_ENDS:
        ids = vocabulary.encode(text).astype(np.int64)
        if UNKNOWN not in ids:
            return ids
    return np.zeros(0, np.int64)


def _repeat_probability(model: LanguageModel, symbol: int) -> float:
    """Returns the probability that a symbol comes again, after BEGIN and the symbol."""
    logits, _ = predict(model.eval(), torch.tensor([[BEGIN], [symbol]]), initial_state(model, 1))
    return float(logits[-1, 0].softmax(0)[symbol])
