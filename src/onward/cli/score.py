"""`onward score`: the surprise of a text."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import Progress

from onward.cli.archive import (
    Address,
    EngineOption,
    Workers,
    engine_for,
    failed_files,
    report_failure,
    showing_progress,
)
from onward.cli.options import MEGABYTES, Json, Memory, Model, Sources
from onward.cli.output import announce_standard_input, emit_facts, emit_json, emit_row, messages, say
from onward.cli.text_model import load_text_model
from onward.data.corpus import Corpus, find_sources
from onward.errors import InputError, RunError
from onward.units import nats_to_bits

if TYPE_CHECKING:
    from onward.inference.trained_model import TrainedModel
    from onward.scale.archives.engine import ArchiveEngine, Outcome

_PROTOCOLS = {"weights": "adaptive", "memory": "memory", "both": "adaptive+memory"}
_LONG = 500_000  # symbols; longer texts take tens of seconds, and get a progress bar


def score(
    model: Model,
    source: Sources,
    per: Annotated[
        Literal["total", "file", "line", "symbol"],
        typer.Option(help="Print one figure, or one row for each file, line or symbol."),
    ] = "total",
    cold: Annotated[
        int | None, typer.Option(metavar="N", help="Score windows of N symbols, each from an empty state.")
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Score a long text in one pass, in float32: slower, but exact."),
    ] = False,
    lanes: Annotated[
        int | None,
        typer.Option(
            help="Cut the text into N segments, and score them in parallel, in float32. "
            "Default: the fastest setting."
        ),
    ] = None,
    learn: Annotated[
        Literal["none", "memory", "weights", "both"],
        typer.Option(
            help="What learns from the text after scoring it: a memory (n-gram counts), a copy of the "
            "model's weights, or both. The model file does not change."
        ),
    ] = "none",
    adapt: Annotated[
        bool, typer.Option("--adapt", hidden=True, help="The former name of --learn weights.")
    ] = False,
    memory: Memory = MEGABYTES,
    workers: Workers = None,
    engine: EngineOption = None,
    address: Address = None,
    html: Annotated[
        Path | None, typer.Option(help="Write an HTML page that colours each symbol by its surprise.")
    ] = None,
    json: Json = False,
) -> None:
    """Score a text: how surprising is it to the model?

    The less likely a symbol was to the model, the higher is its surprise: 1 bit
    means a probability of 50 %, 2 bits mean 25 %, 3 bits mean 12.5 %.

    \b
    onward score nietzsche.onward letter.txt
    echo "what is good?" | onward score nietzsche.onward -
    onward score nietzsche.onward letter.txt --cold 256 --json
    onward score nietzsche.onward letter.txt --learn memory
    onward score nietzsche.onward letter.txt --html letter.html
    onward score nietzsche.onward "notes/*.txt" --per file
    onward score nietzsche.onward "logs/**/*.gz" --per file --workers 4
    onward score nietzsche.onward server.log --per line | sort -k4nr | head

    --per file, line and symbol print tab-separated rows with a header.
    """
    if per != "file" and (workers or engine or address):
        raise InputError(
            "expected --workers, --engine and --address only together with --per file", hint="add --per file"
        )
    trained = load_text_model(model)
    announce_standard_input(source)
    corpus = find_sources(source)
    if adapt:
        say("--adapt is now called --learn weights", style="dim")
        learn = "weights" if learn in ("none", "weights") else "both"
    how = _options(cold, lanes, exact=exact, learn=learn, memory=memory)
    failed = 0
    if html:
        if cold or lanes or learn != "none" or per != "total":
            raise InputError(
                "expected --html alone, got it together with --cold, --lanes, --learn or --per",
                hint="leave out the others: the page scores the text in one pass",
            )
        found = trained.write_page(corpus, html, title=corpus.name).to_json() | {"html": str(html)}
    elif per == "total":
        with _bar() as progress:
            found = trained.score(corpus, progress=progress, **how).to_json()
    else:
        outcomes = _score_files(trained, model, corpus, how, engine_for(workers, engine, address))
        files = _Files(corpus, outcomes)
        rows = files if per == "file" else _rows(trained, corpus, per, how)
        name = _PROTOCOLS.get(learn, "streaming" if cold is None else f"cold-{cold}")
        found = _report(rows, per, json) | {"protocol": name}
        failed = files.failed
    if unknown := found.get("unknown"):
        known = f"the model does not know {unknown:,} of {found['symbols']:,} symbols"
        say(f"{known}, and scores each of them as <unknown>")
    if json:
        emit_json(found)
    elif per == "total":
        emit_facts(found)
    if failed:
        raise failed_files(failed, len(corpus.documents), "scored")


def _options(
    cold: int | None, lanes: int | None, *, exact: bool, learn: str, memory: float
) -> dict[str, Any]:
    """Returns the arguments of `TrainedModel.score`.

    Raises:
        InputError: the options do not belong together.
    """
    if exact and (cold or lanes):
        raise InputError(
            "expected --exact alone, got it together with --cold or --lanes", hint="leave one of them out"
        )
    if learn in ("memory", "both") and not memory:
        raise InputError(
            f"expected a memory for --learn {learn}, got --memory 0",
            hint="leave out --memory, or use --learn weights or none",
        )
    how = {"cold": cold, "lanes": 1 if exact else lanes}
    return how if learn == "none" else how | {"learn": learn, "memory": memory}


def _rows(trained: "TrainedModel", corpus: Corpus, per: str, how: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Returns a row for each part of the text."""
    if per == "line":
        return _lines(trained.score_lines(corpus, **how))
    return _symbols(trained.score_symbols(corpus, **how))


class _Files:
    """The rows of the files that are not empty. The error of a file is printed, and the others are scored.

    Attributes:
        failed: number of files that could not be scored.
    """

    def __init__(self, corpus: Corpus, outcomes: "Iterator[Outcome]") -> None:
        self._files, self._outcomes = corpus.documents, outcomes
        self.failed = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for outcome in self._outcomes:
            if outcome.error:
                self.failed += 1
                report_failure(outcome.error, self._files[outcome.number], self._files)
            elif outcome.result:
                yield outcome.result


def _score_files(
    trained: "TrainedModel", model: str, corpus: Corpus, how: dict[str, Any], engine: "ArchiveEngine | None"
) -> "Iterator[Outcome]":
    """Yields the outcome for each file, in order. Each file is scored from an empty state."""
    from onward.precision import measured_precision  # noqa: PLC0415 - torch, which `--help` does without
    from onward.scale.archives.engine import in_order, in_this_process  # noqa: PLC0415
    from onward.scale.archives.score_files import ScoreFile, score_file  # noqa: PLC0415

    digests = dict(corpus.digests)
    if engine is None:
        return in_this_process(lambda file: score_file(trained, file, how, digests), corpus.documents)
    job = ScoreFile(model, how, measured_precision(), digests)
    return in_order(showing_progress(engine, "scoring")(job, corpus.documents))


def _lines(scores: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for number, symbols, nats, text in scores:
        mean = nats / symbols
        yield {
            "line": number,
            "symbols": symbols,
            "nats_per_symbol": mean,
            "bits_per_symbol": nats_to_bits(mean),
            "text": text,
        }


def _symbols(scores: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for position, symbol, nats in scores:
        yield {"position": position, "symbol": symbol, "nats": nats, "bits": nats_to_bits(nats)}


def _report(rows: Iterable[dict[str, Any]], per: str, json: bool) -> dict[str, Any]:
    """Prints rows as soon as they are known, or collects them for JSON. Returns the sums."""
    symbols, nats, kept = 0, 0.0, []
    for row in rows:
        count = row.get("symbols", 1)
        symbols, nats = symbols + count, nats + row.get("nats", row.get("nats_per_symbol", 0.0) * count)
        if json:
            kept.append(row)
        else:
            emit_row(row, header=symbols == count)
    if not symbols:
        raise RunError("no file could be scored", hint="the errors above name the files")
    mean = nats / symbols
    total = {"symbols": symbols, "nats": nats, "nats_per_symbol": mean, "bits_per_symbol": nats_to_bits(mean)}
    return total | ({f"{per}s": kept} if json else {})


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None] | None]:
    """Shows a progress bar for a long text on a terminal. It disappears at the end."""
    console = messages()
    if not console.is_terminal:
        yield None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("scoring", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total > _LONG)

        yield show
