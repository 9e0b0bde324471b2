"""`POST /v1/score` and `POST /v1/novelty`: what is to be said of a text."""

import asyncio
import math
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.inference.text_source import ids_of
from onward.serve.engine.prefill import prefill
from onward.serve.engine.registry import ModelRegistry
from onward.serve.engine.tokens import text_of
from onward.serve.http.errors import ApiError
from onward.serve.http.fields import Fields
from onward.serve.http.limits import Limits
from onward.serve.http.lookup import LONGEST_NAME
from onward.serve.http.responses import answer, body_of, unless_gone
from onward.units import nats_to_bits

LONGEST_SCORED = 20_000
"""Symbols of a text that is scored symbol by symbol: its answer is a hundred times as large."""


async def score(request: Request, models: ModelRegistry, limits: Limits) -> Response:
    """The surprise of each symbol of a text, and what was likelier."""
    fields = Fields(await body_of(request.receive, limits), ("model", "text", "alternatives"))
    served = models.get(fields.text("model", None, longest=LONGEST_NAME))
    text = fields.text("text", "", longest=limits.text_characters) or ""
    top = fields.integer("alternatives", 3, 0, 20)
    vocabulary = served.trained.vocabulary
    ids = ids_of(text, vocabulary)
    if len(ids) > LONGEST_SCORED:
        message = f"expected a text of at most {LONGEST_SCORED} symbols, got {len(ids)}"
        raise ApiError(
            413, "too_large", message, param="text", hint="send it in parts, or use `onward score`"
        )
    _, tokens = await unless_gone(request, served.engine.run(prefill(served.trained, ids, top)))
    served.metrics.symbols_read.add(len(ids))
    decoder = vocabulary.decoder()
    symbols = [
        {
            "symbol": vocabulary.symbol(token.symbol),
            "text": decoder.feed([token.symbol]),
            "bits": nats_to_bits(-token.nats),
            "alternatives": [_likely(vocabulary, i, nats) for i, nats in token.top],
        }
        for token in tokens
    ]
    bits = sum(symbol["bits"] for symbol in symbols)
    return answer(
        {
            "model": served.name,
            "count": len(symbols),
            "bits": bits,
            "bits_per_symbol": bits / len(symbols) if symbols else 0.0,
            "symbols": symbols,
        }
    )


async def novelty(request: Request, models: ModelRegistry, limits: Limits, corpus: list[Path]) -> Response:
    """What of a text stands word for word in the corpus."""
    fields = Fields(await body_of(request.receive, limits), ("model", "text", "minimum", "longest"))
    served = models.get(fields.text("model", None, longest=LONGEST_NAME))
    text = fields.text("text", None, longest=limits.text_characters)
    if not text:
        fields.refuse("text", "a text with at least one character")
    minimum = fields.integer("minimum", 20, 1, limits.text_characters)
    longest = fields.integer("longest", 10, 0, 1000)
    if not corpus:
        message = "this server has no corpus to look in"
        raise ApiError(404, "no_corpus", message, hint="start it with --corpus FILE")
    with served.engine.slot():  # a thread of its own: the model is not asked
        find = served.trained.novelty
        work = asyncio.to_thread(find, text, corpus, minimum=minimum, longest=longest)
        found = await unless_gone(request, work)
    shown = found.to_json()
    for span in shown["spans"]:
        span["document"] = Path(span["document"]).name
    return answer(shown)


def _likely(vocabulary: Vocabulary, symbol: int, nats: float) -> dict[str, object]:
    return {
        "symbol": vocabulary.symbol(symbol),
        "text": text_of(vocabulary, symbol),
        "probability": math.exp(nats),
    }
