"""An HTML page that colours each symbol of a text by its surprise.

Pointing at a symbol, or moving to it with the arrow keys, shows its probability and the three likeliest
symbols.
"""

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from markupsafe import Markup, escape

from onward.atomic import atomic_write
from onward.data.symbols import Symbols
from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.errors import InputError
from onward.html import render_to, surprise_class
from onward.inference.prediction import initial_state, predict
from onward.inference.scoring.protocol import Protocol, part_of_stream
from onward.inference.scoring.score import Score
from onward.inference.text_source import TextSource, open_source
from onward.model import LanguageModel, block_length
from onward.units import as_percent, nats_to_bits

MOST_SYMBOLS = 200_000
"""The largest text that a browser shows without delay."""

_ALTERNATIVES = 3


class Expectation(NamedTuple):
    """The predictions of a model at n consecutive symbols.

    Attributes:
        ids: the symbols of the text, (n,).
        nats: their surprise, (n,).
        likeliest: ids of the three likeliest symbols, the likeliest first, (n, 3).
        probabilities: probabilities of these three, (n, 3).
    """

    ids: np.ndarray
    nats: np.ndarray
    likeliest: np.ndarray
    probabilities: np.ndarray


def write_page(
    model: LanguageModel,
    vocabulary: Vocabulary,
    source: TextSource,
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Score:
    """Scores a text in one pass, writes the page, and returns the score.

    Raises:
        CorpusError: the source has no text, or cannot be read.
        InputError: the text has more than `MOST_SYMBOLS` symbols.
        WriteError: the file cannot be written.
    """
    with open_source(source, vocabulary) as text:
        size = len(text.ids)
        if size > MOST_SYMBOLS:
            raise InputError(
                f"expected at most {MOST_SYMBOLS:,} symbols for a page, got {size:,}",
                hint="score only a part of the text, or print a row for each line",
            )
        parts = [*expectations(model.eval(), text.ids)]
    nats = sum(float(part.nats.sum(dtype=np.float64)) for part in parts)
    unknown = sum(int((part.ids == UNKNOWN).sum()) for part in parts)
    score = Score(size, nats, Protocol().name, unknown=unknown)
    used = np.unique(
        np.concatenate([array.ravel() for part in parts for array in (part.ids, part.likeliest)])
    )
    with atomic_write(path) as file:
        render_to(
            file,
            "score.html.j2",
            title=title or "Surprise",
            score=score,
            blocks=_blocks(vocabulary, parts),
            names={i: vocabulary.symbol(i) for i in used.tolist()},
        )
    return score


def expectations(model: LanguageModel, ids: Symbols) -> Iterator[Expectation]:
    """Yields the predictions of a model at each symbol of a text, block by block, in one pass."""
    state = initial_state(model, 1)
    block = block_length(1, model.config.symbols)
    for start in range(0, len(ids), block):
        part = part_of_stream(ids, start, min(block, len(ids) - start))
        logits, state = predict(model, torch.from_numpy(part[:-1, None]), state)
        logs = torch.log_softmax(logits[:, 0].cpu(), dim=-1)  # (T, V)
        best = logs.topk(min(_ALTERNATIVES, logs.shape[1]), dim=-1)
        nats = -logs.numpy()[np.arange(len(logs)), part[1:]]
        yield Expectation(part[1:], nats, best.indices.numpy(), best.values.exp().numpy())


def _blocks(vocabulary: Vocabulary, parts: list[Expectation]) -> Iterator[Markup]:
    """Yields the HTML elements of the symbols of each part.

    They are formatted here because a loop in the template takes twice as long, and a page has up to 200,000
    symbols.
    """
    shown: Callable[[int], str] = cache(lambda symbol: str(escape(_visible(vocabulary, symbol))))
    for part in parts:
        elements = []
        for symbol, nats, probability, likeliest, others in zip(
            part.ids.tolist(),
            part.nats.tolist(),
            np.exp(-part.nats.astype(np.float64)).tolist(),
            part.likeliest.tolist(),
            part.probabilities.tolist(),
            strict=True,
        ):
            bits = nats_to_bits(max(nats, 0.0))
            detail = f"{symbol},{as_percent(probability)},{bits:.2f}"  # `page.js` reads this
            detail += "".join(f",{i} {as_percent(p)}" for i, p in zip(likeliest, others, strict=True))
            elements.append(f'<i class="{surprise_class(bits)}" data-e="{detail}">{shown(symbol)}</i>')
        yield Markup("".join(elements))


def _visible(vocabulary: Vocabulary, symbol: int) -> str:
    """Returns the text of a symbol; if that is invisible, a visible character or the name of the symbol."""
    text = vocabulary.decode([symbol])
    if text == "\n":
        return "\u21b5\n"
    if len(text) == 1 and ord(text) < 32 and text != "\t":
        return chr(0x2400 + ord(text))  # Unicode has a visible symbol for each control character
    if not text or (text == "\ufffd" and symbol != UNKNOWN):  # BEGIN, END, and bytes that are not characters
        return vocabulary.symbol(symbol)
    return text if text.isprintable() or text == "\t" else vocabulary.symbol(symbol)
