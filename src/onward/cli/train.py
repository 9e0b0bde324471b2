"""`onward train`: from any text to a model file."""

import json as jsons
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import onward
from onward.cli.options import Json, Sources
from onward.cli.output import announce_standard_input, emit_json, say
from onward.cli.progress import display
from onward.data.compressed import open_bytes
from onward.data.corpus import STANDARD_INPUT, find_sources
from onward.errors import InputError, Interrupted, OnwardError, RecipeError
from onward.outputs import checkpoint_path, curves_path, log_path
from onward.units import nats_to_bits

_BEGUN = [time.monotonic()]
"""When this process began, until its first run takes it: loading PyTorch is part of that run's minutes."""

_LOOKED_AT = 4096
"""Bytes of the text among which words are looked for that it can be written on from."""

_WORD = re.compile(r"^[^\W\d_]\w{0,19} ?", re.MULTILINE)
_TWO_WORDS = re.compile(r"^[^\W\d_]\w{0,19} \w{1,20} ?", re.MULTILINE)


def train(
    source: Sources,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The model file; by default SOURCE.onward, here.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="default, lstm, gru, simple or tiny.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", "-m", help="Train for this long, all in all; by default 5.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Train for so many passes over the text.")] = None,
    steps: Annotated[int | None, typer.Option(help="Train for so many steps.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    symbols: Annotated[str | None, typer.Option(help="characters, bytes or words.")] = None,
    lower: Annotated[bool | None, typer.Option("--lower", help="Lower-case the text first.")] = None,
    min_count: Annotated[
        int | None, typer.Option(help="Symbols seen less often become one: unknown.")
    ] = None,
    width: Annotated[int | None, typer.Option(help="Features of each layer.")] = None,
    layers: Annotated[int | None, typer.Option(help="How many recurrent layers.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of features zeroed while learning.")] = None,
    noise: Annotated[
        float | None, typer.Option(help="Share of symbols read as others of the text while learning.")
    ] = None,
    lanes: Annotated[int | None, typer.Option(help="Streams read side by side.")] = None,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto (measured), bf16 or fp32.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same model.")] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu or cuda.")] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any hyperparameter (docs/guides/train.md lists them); may be repeated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Learn a text, and keep what was learned in one file.

    \b
    onward train pydoc -o pydoc.onward --minutes 2
    onward train nietzsche.txt -o nietzsche.onward --lower --minutes 5 --dropout 0.25 --noise 0.03
    onward train "src/**/*.py" -o code.onward --epochs 3 --recipe lstm
    onward train nietzsche.txt -o small.onward --width 128 --set clip=0.5 --set block=64
    onward train nietzsche.txt -o nietzsche.onward --resume

    Ctrl-C saves the run; --resume goes on with it, and ends with the same model as if it had never stopped.
    """
    common = {
        "symbols": symbols, "lower": lower, "min_count": min_count, "width": width, "layers": layers,
        "dropout": dropout, "noise": noise, "lanes": lanes, "rate": rate, "precision": precision,
        "seed": seed,
    }  # fmt: skip
    hyperparameters = {name: value for name, value in common.items() if value is not None}
    hyperparameters |= dict(map(_parse, set_ or []))
    started = _BEGUN.pop() if _BEGUN else time.monotonic()
    target = output or _default_output(source)
    _announce(source, target, resume)
    goes_on = resume and checkpoint_path(target).exists()
    try:
        with display() as show:
            model = onward.train(
                *source, output=target, recipe=recipe, minutes=minutes, epochs=epochs, steps=steps,
                resume=resume, device=device, observer=show, started=started, **hyperparameters,
            )  # fmt: skip
    except Interrupted as stopped:
        raise Interrupted(str(stopped), hint=stopped.hint and _command(source, target)) from stopped
    made = _summary(model.artefact.recipe["name"], model.model.parameter_count(), model.artefact.facts)
    made = {"model": str(target), **made, "seconds": round(time.monotonic() - started, 3)}
    if json:
        emit_json(made)
    _conclude(made, target, source, goes_on=goes_on)


def _parse(setting: str) -> tuple[str, Any]:
    """A hyperparameter given as NAME=VALUE; the recipe checks both."""
    name, equals, value = setting.partition("=")
    if not (name and equals):
        raise RecipeError(
            f"expected NAME=VALUE after --set, got {setting!r}", hint="for instance --set clip=0.5"
        )
    try:
        return name.strip().replace("-", "_"), jsons.loads(value)
    except ValueError:
        return name.strip().replace("-", "_"), value.strip()


def _default_output(sources: list[str]) -> Path:
    """The first source's name with our suffix, in the current folder."""
    stem = Path(sources[0]).resolve().stem if sources[0] != "-" else ""
    if not stem or any(sign in stem for sign in "*?["):
        if STANDARD_INPUT not in sources:
            find_sources(sources)  # that there is no such text is the more telling error
        raise InputError(
            f"no name for the model follows from {sources[0]!r}", hint="name the model file with -o"
        )
    return Path(f"{stem}.onward")


def _announce(sources: list[str], target: Path, resume: bool) -> None:
    """What the person may want to know before anything is read."""
    announce_standard_input(sources)
    if not resume and (path := checkpoint_path(target)).exists():
        say(f"{path} is of a stopped run; this one begins anew (--resume goes on with it)")


def _summary(recipe: str, parameters: int, facts: dict[str, Any]) -> dict[str, Any]:
    """What was made, in figures."""
    nats = facts["validation"]["nats_per_symbol"]
    return {
        "recipe": recipe,
        "parameters": parameters,
        "steps": facts["steps"],
        "symbols": facts["symbols"],
        "validation": {
            "nats_per_symbol": nats,
            "bits_per_symbol": None if nats is None else nats_to_bits(nats),
        },
    }


def _command(sources: list[str], target: Path) -> str:
    """What goes on with a run that was stopped; the rest of its command line is in its checkpoint."""
    named = " ".join(map(shlex.quote, sources))
    holds = f"{checkpoint_path(target)} holds the run"
    return f"{holds}; go on with: onward train {named} -o {shlex.quote(str(target))} --resume"


def _prime(sources: list[str]) -> str:
    """The first words of the text, which a model of it knows; "" of a text that was read from a pipe."""
    if STANDARD_INPUT in sources:
        return ""
    text = ""
    with suppress(OSError, OnwardError), open_bytes(find_sources(sources).documents[0]) as file:
        text = file.read(_LOOKED_AT).decode("utf-8", "ignore")  # if it is still there
    found = _TWO_WORDS.search(text) or _WORD.search(text)
    return found[0] if found else ""


def _conclude(made: dict[str, Any], target: Path, sources: list[str], *, goes_on: bool) -> None:
    """What was made, where it lies, and what can be done with it."""
    nats, bits = made["validation"].values()
    loss = "none, there is too little" if nats is None else f"{nats:.4f} nats, {bits:.4f} bits per symbol"
    say(f"held-out text   {loss}")
    if nats is not None:
        say(f"{'':<15} in one pass; checks read parts of it from nothing, to be compared with each other")
    seconds = f"{made['seconds']:,.0f} s{' since it went on' if goes_on else ''}"
    say(f"learned from    {made['symbols']:,} symbols in {made['steps']:,} steps, {seconds}")
    say(f"model           {target}")
    for label, path in (("curves", curves_path(target)), ("log", log_path(target))):
        if path.exists():
            say(f"{label:<15} {path}")
    model = shlex.quote(str(target))
    say("next")
    prime = _prime(sources)
    say(f"  onward write {model}{f' --prime {shlex.quote(prime)}' if prime else ''}")
    say(f"  onward score {model} FILE --html surprise.html")
    say(f"  onward info {model}")
