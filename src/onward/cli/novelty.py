"""`onward novelty`: the spans of a text that are copied from a corpus."""

from pathlib import Path
from typing import Annotated, Literal

import typer

import onward
from onward.cli.options import Json
from onward.cli.output import announce_standard_input, emit, emit_json
from onward.data.corpus import find_sources


def novelty(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A file, or - for standard input.")],
    corpus: Annotated[
        list[str],
        typer.Option(
            "--corpus",
            "-c",
            help="Corpus to search: files, folders, patterns in quotes or a named corpus. Can be repeated.",
        ),
    ],
    minimum: Annotated[int, typer.Option("--min", help="Minimum length of a span, in symbols.")] = 20,
    longest: Annotated[int, typer.Option(help="Maximum number of spans to show, longest first.")] = 10,
    symbols: Annotated[
        Literal["characters", "bytes", "words"], typer.Option(help="What counts as a symbol.")
    ] = "characters",
    lower: Annotated[bool, typer.Option("--lower", help="Compare in lower case.")] = False,
    json: Json = False,
) -> None:
    """Find the longest spans of a text that are copied from a corpus, and the share that they cover.

    \b
    onward novelty dream.txt --corpus nietzsche.txt
    onward write nietzsche.onward | onward novelty - -c nietzsche.txt
    """
    announce_standard_input([text])
    found = onward.novelty(
        Path(text), find_sources(corpus), kind=symbols, lower=lower, minimum=minimum, longest=longest
    )
    if json:
        emit_json(found.to_json())
        return
    spans = f"{found.span_count:,} span{'' if found.span_count == 1 else 's'} of {minimum} symbols or more"
    emit(f"{found.share:.1%} of {found.symbols:,} symbols are copied, in {spans}")
    for span in found.spans:
        emit(f"{span.length:>7,}  {span.document}:{span.line}  {span.text!r}")
