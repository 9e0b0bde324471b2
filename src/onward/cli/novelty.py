"""`onward novelty`: what of a text stands word for word in a corpus."""

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
        list[str], typer.Option("--corpus", "-c", help="Where it may come from; as SOURCE of train.")
    ],
    minimum: Annotated[int, typer.Option("--min", help="Symbols that a span has at least.")] = 20,
    longest: Annotated[int, typer.Option(help="How many spans to show.")] = 10,
    symbols: Annotated[
        Literal["characters", "bytes", "words"], typer.Option(help="What a symbol is.")
    ] = "characters",
    lower: Annotated[bool, typer.Option("--lower", help="Lower-case both first.")] = False,
    json: Json = False,
) -> None:
    """Find the longest spans of a text that stand word for word in a corpus, and how much of it they cover.

    \b
    onward novelty dream.txt --corpus nietzsche.txt
    onward write nietzsche.onward | onward novelty - --corpus nietzsche.txt --min 30
    """
    announce_standard_input([text])
    found = onward.novelty(
        Path(text), find_sources(corpus), kind=symbols, lower=lower, minimum=minimum, longest=longest
    )
    if json:
        emit_json(found.to_json())
        return
    spans = f"{found.span_count:,} span{'' if found.span_count == 1 else 's'} of {minimum} or more"
    emit(f"{found.share:.1%} of {found.symbols:,} symbols stand there word for word, in {spans}\n")
    for span in found.spans:
        emit(f"{span.length:>7,}  {span.document}:{span.line}  {span.text!r}\n")
