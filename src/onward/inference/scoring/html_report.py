"""A page that shows a text with each symbol coloured by its surprise.

One file without outside resources, in light and dark. Pointing at a symbol, or moving to it with the arrow
keys, shows its probability and the three likeliest alternatives. Nothing of the text can become markup or
script: it is escaped, and the page's policy allows its own script alone.
"""

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import torch

from onward.atomic import atomic_write
from onward.data.symbols import Symbols
from onward.data.vocabulary import UNKNOWN, Vocabulary
from onward.errors import InputError
from onward.inference.prediction import initial_state, predict
from onward.inference.scoring.protocol import Protocol, part_of_stream
from onward.inference.scoring.score import Score
from onward.inference.text_source import Source, opened
from onward.model import LanguageModel, block_length
from onward.units import nats_to_bits

MOST_SYMBOLS = 200_000
"""What a browser shows without effort."""

ALTERNATIVES = 3
STEPS = 10
"""Colours, one for each bit of surprise; the last is for all beyond."""

_RARE = 1e-4


class Expectation(NamedTuple):
    """What a model expected at consecutive symbols.

    Attributes:
        ids: the symbols that came, (n,).
        nats: their surprise, (n,).
        likeliest: the ids of the likeliest symbols, best first, (n, 3).
        probabilities: theirs, (n, 3).
    """

    ids: np.ndarray
    nats: np.ndarray
    likeliest: np.ndarray
    probabilities: np.ndarray


def write_page(
    model: LanguageModel,
    vocabulary: Vocabulary,
    source: Source,
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Score:
    """Writes the page of a text, read in one pass, and returns the score.

    Raises:
        CorpusError: there is no text in the source, or it cannot be read.
        InputError: more than `MOST_SYMBOLS`.
        WriteError: the disk refused.
    """
    with opened(source, vocabulary) as text:
        size = len(text.ids)
        if size > MOST_SYMBOLS:
            raise InputError(
                f"a page shows {MOST_SYMBOLS:,} symbols at most, the text has {size:,}",
                hint="cut a part from the text, or score it by line",
            )
        parts = [*expectations(model.eval(), text.ids)]
    score = Score(size, sum(float(part.nats.sum(dtype=np.float64)) for part in parts), Protocol().name)
    with atomic_write(path) as file:
        for piece in _page(vocabulary, parts, score, title or "Surprise"):
            file.write(piece.encode("utf-8", "replace"))
    return score


def expectations(model: LanguageModel, ids: Symbols) -> Iterator[Expectation]:
    """What the model expected at each symbol of a text, read in one pass."""
    state = initial_state(model, 1)
    block = block_length(1, model.config.symbols)
    for start in range(0, len(ids), block):
        part = part_of_stream(ids, start, min(block, len(ids) - start))
        logits, state = predict(model, torch.from_numpy(part[:-1, None]), state)
        logs = torch.log_softmax(logits[:, 0].cpu(), dim=-1)  # (T, V)
        best = logs.topk(min(ALTERNATIVES, logs.shape[1]), dim=-1)
        nats = -logs.numpy()[np.arange(len(logs)), part[1:]]
        yield Expectation(part[1:], nats, best.indices.numpy(), best.values.exp().numpy())


def _page(vocabulary: Vocabulary, parts: list[Expectation], score: Score, title: str) -> Iterator[str]:
    """The page, piece by piece."""
    script, style = _asset("reading.js") + _asset("page.js"), _asset("reading.css") + _asset("page.css")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    heading = html.escape(title)
    yield f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{heading}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>{style}</style>\n</head>\n<body>\n<header>\n<h1>{heading}</h1>\n"
    mean = f"{score.bits_per_symbol:.3f} bits ({score.nats_per_symbol:.3f} nats)"
    yield f"<p>{score.symbols:,} symbols, {mean} each, read in one pass</p>\n"
    yield f'<p class="legend" aria-label="colours by bits of surprise">expected {legend()} '
    yield "surprising, in bits</p>\n</header>\n"
    yield '<main id="text" class="text" dir="auto" tabindex="0" role="application" '
    yield 'aria-label="the text; arrow keys go from symbol to symbol" aria-describedby="detail">'
    used: set[int] = set()
    for part in parts:
        used.update(part.ids.tolist(), part.likeliest.ravel().tolist())
        yield from _marks(vocabulary, part)
    yield '</main>\n<output id="detail" class="detail" aria-live="polite" hidden></output>\n'
    names = json.dumps({i: vocabulary.symbol(i) for i in sorted(used)}).replace("<", "\\u003c")
    yield f'<script type="application/json" id="names">{names}</script>\n'
    yield f'<script type="module">{script}</script>\n</body>\n</html>\n'


def legend() -> str:
    """A mark for each colour."""
    last = STEPS - 1
    names = [*map(str, range(last)), f"{last}+"]
    return "".join(f'<i class="s{step}">{name}</i>' for step, name in enumerate(names))


def _marks(vocabulary: Vocabulary, part: Expectation) -> Iterator[str]:
    """Each symbol as an element: its colour, and as data its id, probability, bits and alternatives."""
    for symbol, nats, likeliest, chances in zip(
        part.ids.tolist(),
        part.nats.tolist(),
        part.likeliest.tolist(),
        part.probabilities.tolist(),
        strict=True,
    ):
        bits = nats_to_bits(max(nats, 0.0))
        data = [symbol, as_percent(float(np.exp(-nats))), f"{bits:.2f}"]
        data += [f"{i} {as_percent(chance)}" for i, chance in zip(likeliest, chances, strict=True)]
        shown = html.escape(_shown(vocabulary, symbol))
        yield f'<i class="s{min(int(bits), STEPS - 1)}" data-e="{",".join(map(str, data))}">{shown}</i>'


def _shown(vocabulary: Vocabulary, symbol: int) -> str:
    """What stands on the page for a symbol: itself, or the sign for it where it cannot be seen."""
    text = vocabulary.decode([symbol])
    if text == "\n":
        return "\u21b5\n"
    if len(text) == 1 and ord(text) < 32 and text != "\t":
        return chr(0x2400 + ord(text))  # the pictures of control characters
    if not text or (text == "\ufffd" and symbol != UNKNOWN):  # begin, end, and bytes that are no character
        return vocabulary.symbol(symbol)
    return text if text.isprintable() or text == "\t" else vocabulary.symbol(symbol)


def as_percent(probability: float) -> str:
    """A probability for people: 83.1, 0.42, 2e-05 for what is rarer than one in ten thousand."""
    percent = 100 * probability
    return f"{percent:.3g}" if probability >= _RARE else f"{percent:.0e}"


def _asset(name: str) -> str:
    """A file that is part of every page."""
    return files("onward.inference").joinpath(name).read_text(encoding="utf-8")
