"""`POST /v1/score` and `POST /v1/novelty`."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.data.vocabulary import Vocabulary
from onward.inference.text_source import ids_of
from onward.serve.api.operation import operation
from onward.serve.api.requests import NoveltyRequest, ScoreRequest
from onward.serve.api.responses import LikelySymbol, NoveltyReport, ScoredSymbol, ScoreResponse
from onward.serve.engine.prefill import prefill
from onward.serve.engine.registry import ModelRegistry
from onward.serve.engine.tokens import text_of
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.responses import json_response, read_body, until_client_leaves
from onward.serve.http.validation import read_model
from onward.units import nats_to_bits

MOST_SYMBOLS = 20_000
"""Maximum number of symbols of a scored text. The response is a hundred times as large as the text."""


@operation("POST", "/v1/score", id="scoreText", body=ScoreRequest, response=ScoreResponse)
async def score(request: Request, models: ModelRegistry, limits: Limits) -> Response:
    """Compute the surprise of each symbol of a text."""
    asked = read_model(ScoreRequest, await read_body(request.receive, limits), limits)
    served = models.get(asked.model)
    vocabulary = served.trained.vocabulary
    ids = ids_of(asked.text, vocabulary)
    if len(ids) > MOST_SYMBOLS:
        message = f"expected a text of at most {MOST_SYMBOLS:,} symbols, got {len(ids):,}"
        hint = "send it in parts, or use `onward score`"
        raise ApiError(413, "too_large", message, param="text", hint=hint)
    work = served.engine.run(prefill(served.trained, ids, asked.alternatives))
    _, tokens = await until_client_leaves(request, work)
    served.metrics.symbols_read.inc(len(ids))
    decoder = vocabulary.decoder()
    symbols: list[ScoredSymbol] = [
        {
            "symbol": vocabulary.symbol(token.symbol),
            "text": decoder.feed([token.symbol]),
            "bits": nats_to_bits(-token.nats),
            "alternatives": [_likely(vocabulary, i, nats) for i, nats in token.top],
        }
        for token in tokens
    ]
    bits = sum(symbol["bits"] for symbol in symbols)
    found: ScoreResponse = {
        "model": served.name,
        "count": len(symbols),
        "bits": bits,
        "bits_per_symbol": bits / len(symbols) if symbols else 0.0,
        "symbols": symbols,
    }
    return json_response(found)


@operation("POST", "/v1/novelty", id="findNovelty", body=NoveltyRequest, response=NoveltyReport)
async def novelty(
    request: Request, models: ModelRegistry, limits: Limits, corpus: Sequence[Path]
) -> Response:
    """Find the spans of a text that are in the corpus word for word."""
    asked = read_model(NoveltyRequest, await read_body(request.receive, limits), limits)
    served = models.get(asked.model)
    if not corpus:
        message = "this server has no corpus to search"
        raise ApiError(404, "no_corpus", message, hint="start the server with --corpus FILE")
    with served.engine.slot():  # the search has its own thread, since it does not use the model
        find = served.trained.novelty
        work = asyncio.to_thread(find, asked.text, [*corpus], minimum=asked.minimum, longest=asked.longest)
        found = (await until_client_leaves(request, work)).to_json()
    for span in found["spans"]:
        span["document"] = Path(span["document"]).name
    return json_response(found)


def _likely(vocabulary: Vocabulary, symbol: int, nats: float) -> LikelySymbol:
    return {
        "symbol": vocabulary.symbol(symbol),
        "text": text_of(vocabulary, symbol),
        "probability": math.exp(nats),
    }
