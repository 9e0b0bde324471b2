"""`onward write`: writes text with a model."""

import time
from collections.abc import Iterable
from typing import Annotated, Literal

import typer

from onward.cli.options import Json, Model
from onward.cli.output import emit_json, emit_text, say
from onward.cli.text_model import load_text_model


def write(
    model: Model,
    prime: Annotated[
        str, typer.Option("--prime", "-p", help="Text that the model reads first. Default: begin a new text.")
    ] = "",
    length: Annotated[int, typer.Option("--length", "-n", help="Maximum number of new symbols.")] = 400,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            "-t",
            help="Below 1: more predictable; above 1: more varied; 0: always the likeliest symbol.",
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(metavar="K", help="Draw only from the K likeliest symbols.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Draw only from the likeliest symbols that together have this probability."),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(
            help="Leave out unlikely symbols: 0.05 leaves out those that are less than 5 % as likely as the "
            "likeliest symbol."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed gives the same text.")] = 0,
    stop: Annotated[list[str] | None, typer.Option(help="Stop before this text; can be repeated.")] = None,
    ignore_end: Annotated[
        bool | None, typer.Option("--ignore-end", help="Continue when the model would end the text.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Number of samples, generated in one batch.")] = 1,
    weights: Annotated[
        Literal["fp32", "bf16", "int8"],
        typer.Option(
            help="Number format of the weights. bf16 and int8 are faster than fp32, with nearly the same "
            "probabilities. int8 is the fastest on a CPU with AVX-512 VNNI, bf16 on other CPUs."
        ),
    ] = "fp32",
    json: Json = False,
) -> None:
    """Write a text that continues yours (the prime). Prints the prime, then the text while it is written.

    \b
    onward write nietzsche.onward --prime "what is "
    onward write nietzsche.onward --temperature 0.7 --length 2000 > dream.txt
    onward write nietzsche.onward --prime "what is " --stop "." --stop "?"
    onward write nietzsche.onward --samples 4 --length 80 --json

    A line of three dashes separates samples.
    """
    trained = load_text_model(model)
    if unknown := trained.unknown_symbols(prime):
        say(f"the model does not know {unknown} of the prime's symbols", style="dim")
    started = time.perf_counter()
    writer = trained.writer(
        prime, samples, length=length, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
        seed=seed, stop=stop or (), weights=weights, ignore_end=ignore_end,
    )  # fmt: skip
    if not json:
        _stream(writer, prime)
        say()
        say(f"{sum(writer.symbols):,} symbols in {_duration(time.perf_counter() - started)}", style="dim")
        return
    texts = _collect(writer, samples)
    made = [
        {"text": text, "symbols": symbols, "ending": ending}
        for text, symbols, ending in zip(texts, writer.symbols, writer.endings, strict=True)
    ]
    seconds = round(time.perf_counter() - started, 3)
    emit_json({"prime": prime, **made[0], "seconds": seconds, "samples": made})


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _stream(pieces: Iterable[list[str]], prime: str) -> None:
    """Prints the first sample while it is written, then the others."""
    emit_text(prime)
    others: list[str] = []
    for first, *rest in pieces:
        emit_text(first)
        others = [text + piece for text, piece in zip(others or [""] * len(rest), rest, strict=True)]
    for text in others:
        emit_text(f"\n---\n{prime}{text}")


def _collect(pieces: Iterable[list[str]], samples: int) -> list[str]:
    """Returns all samples, without the prime."""
    parts: list[list[str]] = [[] for _ in range(samples)]
    for gained in pieces:
        for part, piece in zip(parts, gained, strict=True):
            part.append(piece)
    return ["".join(part) for part in parts]
