"""`POST /v1/score` and `POST /v1/novelty`."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from onward.inference.novelty.novelty import search_slices
from onward.inference.text_source import ids_of
from onward.serve.api.answer_size import AnswerSizes
from onward.serve.api.operation import operation
from onward.serve.api.requests import NoveltyRequest, ScoreRequest
from onward.serve.api.responses import LikelySymbol, NoveltyReport, ScoredSymbol, ScoreResponse
from onward.serve.engine.prefill import prefill, prefill_learning
from onward.serve.engine.registry import ModelRegistry
from onward.serve.engine.tokens import SymbolNames, Tokens
from onward.serve.http.clients import client_of
from onward.serve.http.errors import ApiError
from onward.serve.http.json_text import dump_items, dump_members
from onward.serve.http.limits import Limits
from onward.serve.http.responses import (
    LargeJson,
    json_of_parts,
    read_body,
    until_client_leaves,
)
from onward.serve.http.slots import Slots
from onward.serve.http.validation import parsed
from onward.serve.http.work_thread import WorkThread, work_on_text
from onward.units import nats_to_bits

MOST_SYMBOLS = 20_000
"""Maximum number of symbols of a scored text. The response is a hundred times as large as the text."""

_SEARCH_THREAD = WorkThread("onward-search")  # one search at a time, since each takes much memory

_IN_PARTS = "send it in parts, or use `onward score`"


@operation("POST", "/v1/score", id="scoreText", body=ScoreRequest, response=ScoreResponse)
async def score(
    request: Request, models: ModelRegistry, limits: Limits, sizes: AnswerSizes, learning: Slots
) -> Response | LargeJson:
    """Compute the surprise of each symbol of a text."""
    body = await read_body(request.receive, limits)
    asked = await parsed(ScoreRequest, body, limits)
    served = models.get(asked.model)
    ids = await work_on_text(len(body), lambda: ids_of(asked.text, served.trained.vocabulary))
    if len(ids) > MOST_SYMBOLS:
        message = f"expected a text of at most {MOST_SYMBOLS:,} symbols, got {len(ids):,}"
        raise ApiError(413, "too_large", message, param="text", hint=_IN_PARTS)
    size = sizes.check(len(ids), asked.alternatives, "alternatives", _IN_PARTS)
    with ExitStack() as during:
        during.enter_context(sizes.slot(size, request.scope))
        if asked.learn == "none":
            work = served.engine.run(prefill(served.trained, ids, asked.alternatives))
            _, slices = await until_client_leaves(request.receive, work)
        else:
            with learning.take(client_of(request.scope)):
                learned = prefill_learning(served.trained, ids, asked.alternatives, asked.learn)
                _, slices = await until_client_leaves(request.receive, served.engine.run(learned))
        served.metrics.symbols_read.inc(len(ids))
        bits = nats_to_bits(sum(-float(tokens.nats.sum()) for tokens in slices))
        found = {
            "model": served.name,
            "count": len(ids),
            "bits": bits,
            "bits_per_symbol": bits / len(ids) if len(ids) else 0.0,
            "symbols": dump_items(_symbols(slices, served.names)),
        }
        return json_of_parts(dump_members(found), size, limits, during=during.pop_all())


def _symbols(slices: Sequence[Tokens], names: SymbolNames) -> Iterator[ScoredSymbol]:
    """Yields the symbols of a text."""
    decoder = names.vocabulary.decoder()
    for tokens in slices:
        for symbol, nats, *top in zip(*(part.tolist() for part in tokens), strict=True):
            yield {
                "symbol": names.printable(symbol)[0],
                "text": decoder.feed([symbol]),
                "bits": nats_to_bits(-nats),
                "alternatives": [_likely(names, *each) for each in zip(*top, strict=True)],
            }


@operation("POST", "/v1/novelty", id="findNovelty", body=NoveltyRequest, response=NoveltyReport)
async def novelty(
    request: Request, models: ModelRegistry, limits: Limits, corpus: Sequence[Path], searches: Slots
) -> Response | LargeJson:
    """Find the spans of a text that are in the corpus word for word."""
    asked = await parsed(NoveltyRequest, await read_body(request.receive, limits), limits)
    vocabulary = models.get(asked.model).trained.vocabulary
    if not corpus:
        message = "this server has no corpus to search"
        raise ApiError(404, "no_corpus", message, hint="start the server with --corpus FILE")
    search = search_slices(
        asked.text,
        [*corpus],
        kind=vocabulary.kind,
        lower=vocabulary.lower,
        minimum=asked.minimum,
        longest=asked.longest,
    )
    with searches.take(client_of(request.scope)):
        found = (await until_client_leaves(request.receive, _SEARCH_THREAD.run_slices(search))).to_json()
    for span in found["spans"]:
        span["document"] = Path(span["document"]).name
    size = sum(span["length"] for span in found["spans"])
    return json_of_parts(dump_members(found | {"spans": dump_items(found["spans"])}), size, limits)


def _likely(names: SymbolNames, symbol: int, nats: float) -> LikelySymbol:
    name, text = names.printable(symbol)
    return {"symbol": name, "text": text, "probability": math.exp(nats)}
