"""`onward train`: trains a model on any text."""

import json as jsons
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import onward
from onward.allocator import keep_freed_memory
from onward.cli.default_output import default_output
from onward.cli.options import Json, Sources
from onward.cli.output import announce_standard_input, emit_json, say
from onward.cli.progress import display
from onward.data.corpus import STANDARD_INPUT, Corpus, find_sources
from onward.data.encodings import open_text
from onward.errors import Interrupted, OnwardError, RecipeError
from onward.outputs import checkpoint_path, curves_path, log_path
from onward.training.events import Event, Started
from onward.units import nats_to_bits

_PROCESS_STARTED = [time.monotonic()]
"""The start time of this process, for its first run: the minutes of that run include loading PyTorch."""

_PRIME_BYTES = 4096
"""Number of bytes at the start of the text in which to find words for a suggested prime."""

_WORD = re.compile(r"^[^\W\d_]\w{0,19} ?", re.MULTILINE)
_TWO_WORDS = re.compile(r"^[^\W\d_]\w{0,19} \w{1,20} ?", re.MULTILINE)


class _Explained(Exception):  # noqa: N818 - a way to leave the run, not an error
    """Ends a run with --explain before its first step."""


def train(
    source: Sources,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The model file. Default: SOURCE.onward in the current folder."),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="auto|none|NAME|FILE",
            help="The model whose weights the run begins with: english or python, which come with onward; a "
            "model file; or none for new weights. auto: english or python, whichever has the lower loss "
            "on the text.",
        ),
    ] = "auto",
    recipe: Annotated[
        str | None, typer.Option(help="Named set of hyperparameters: default, lstm, gru, simple or tiny.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            "-m",
            help="Train for this many minutes, counted from the start of the command. Default: 5.",
        ),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help="Train for this many epochs (passes over the text).")
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Train for this many steps. To repeat a run with --minutes, give the schedule that it "
            "printed.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume a stopped run from its checkpoint.")
    ] = False,
    symbols: Annotated[
        str | None, typer.Option(help="What counts as a symbol: characters (the default), bytes or words.")
    ] = None,
    lower: Annotated[
        bool | None, typer.Option("--lower", help="Convert the text to lower case before training.")
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option(help="Replace each symbol that occurs fewer times than this by the unknown symbol."),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Width of each layer: the number of values that it returns for each symbol."),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="Number of recurrent layers.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Set this share of the values between layers to zero while training.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help="Replace this share of input symbols at random while training.")
    ] = None,
    lanes: Annotated[int | None, typer.Option(help="Number of parallel streams (the batch size).")] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Peak learning rate of AdamW; --set muon_rate=VALUE sets that of Muon."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Precision of matrix products: auto (the faster one), bf16 or fp32.")
    ] = None,
    remember: Annotated[
        bool | None,
        typer.Option(
            "--remember",
            help="Store the end of the text (up to a million symbols) in the model file, so that a memory "
            "starts with its counts. Anyone who has the file can read this text.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed. The same seed and the same --steps give the same model.")
    ] = None,
    device: Annotated[str, typer.Option(help="Device: auto (a GPU if there is one), cpu or cuda.")] = "auto",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set any hyperparameter (docs/guides/train.md lists them); can be repeated.",
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what the run would do, but do not train.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a model on a text and write it to one file.

    \b
    onward train pydoc -o pydoc.onward --minutes 2
    onward train nietzsche.txt -o nietzsche.onward --lower --minutes 5
    onward train notes.txt --minutes 1 --explain
    onward train "src/**/*.py" -o code.onward --epochs 3 --recipe lstm
    onward train nietzsche.txt -o small.onward --width 128 --set clip=0.5 --set block=64
    onward train nietzsche.txt -o nietzsche.onward --resume

    If you do not give --lanes, --dropout or --noise, the run chooses them
    for the text and the budget. It begins with the weights of english or
    python, whichever has the lower loss on the text. Both come with onward.

    Ctrl-C saves the run, and --resume continues it. The final model is the
    same as if the run had never been stopped.
    """
    common = {
        "symbols": symbols, "lower": lower, "min_count": min_count, "width": width, "layers": layers,
        "dropout": dropout, "noise": noise, "lanes": lanes, "rate": rate, "precision": precision,
        "remember": remember, "seed": seed,
    }  # fmt: skip
    hyperparameters = {name: value for name, value in common.items() if value is not None}
    hyperparameters |= dict(map(_parse, set_ or []))
    base = hyperparameters.pop("base", base)
    if explain and resume:
        raise RecipeError("expected --explain or --resume, got both", hint="leave one of them out")
    started = _PROCESS_STARTED.pop() if _PROCESS_STARTED else time.monotonic()
    if _follow(source, output, device):
        return
    if output is None and STANDARD_INPUT in source[:1]:
        output = default_output(source[0])  # refused before anything is read
    announce_standard_input(source)
    corpus = find_sources(source)
    target = output or default_output(source[0])
    keep_freed_memory()
    resumed_at = 0
    try:
        with display() as show:

            def observe(event: Event) -> None:
                nonlocal resumed_at
                if isinstance(event, Started):
                    resumed_at = event.step
                show(event)
                if explain and isinstance(event, Started):
                    raise _Explained

            model = onward.train(
                corpus, output=None if explain else target, recipe=recipe, minutes=minutes,
                epochs=epochs, steps=steps, resume=resume, base=base, device=device, observer=observe,
                started=started, **hyperparameters,
            )  # fmt: skip
    except _Explained:
        say("--explain: nothing was trained")
        return
    except Interrupted as stopped:
        hint = stopped.hint and _resume_hint(source, target)
        raise Interrupted(str(stopped), hint=hint) from stopped
    result = _summary(model.artefact.recipe["name"], model.model.parameter_count(), model.artefact.facts)
    result = {"model": str(target), **result, "seconds": round(time.monotonic() - started, 3)}
    if json:
        emit_json(result)
    _conclude(result, target, _prime(corpus), resumed_at=resumed_at)
    if ":" in result["schedule"]:
        chosen = _chosen(model.artefact.recipe)
        say(f"{'repeat':<15} the same command with --steps {result['schedule']}{chosen}")


def _follow(sources: list[str], output: Path | None, device: str) -> bool:
    """Trains if this is not process 0 of a run, and returns whether it is not. Prints nothing."""
    from onward.scale.torchrun import rank  # noqa: PLC0415 - imports torch, which --help does not need
    from onward.training.group import StoppedByLeader  # noqa: PLC0415

    if not rank():
        return False
    keep_freed_memory()
    with suppress(StoppedByLeader):
        onward.train(*sources, output=output or default_output(sources[0]), device=device)
    return True


def _chosen(recipe: dict[str, Any]) -> str:
    """Returns the options for what a run chose or measured, so that another run does not choose again."""
    from onward.training.recipe import find_recipe  # noqa: PLC0415 - imports torch, which --help does not need
    from onward.training.rule import CHOSEN  # noqa: PLC0415

    names = CHOSEN if recipe["name"] == find_recipe().name else ()
    return "".join(f" --set {name}={recipe[name]}" for name in (*names, "precision"))


def _parse(setting: str) -> tuple[str, Any]:
    """Returns the name and value of a hyperparameter given as NAME=VALUE; the recipe checks both."""
    name, equals, value = setting.partition("=")
    if not (name and equals):
        raise RecipeError(
            f"expected NAME=VALUE after --set, got {setting!r}", hint="for instance --set clip=0.5"
        )
    try:
        return name.strip().replace("-", "_"), jsons.loads(value)
    except ValueError:
        return name.strip().replace("-", "_"), value.strip()


def _summary(recipe: str, parameters: int, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the figures of a run, as `--json` prints them."""
    nats = facts["validation"]["nats_per_symbol"]
    return {
        "recipe": recipe,
        "parameters": parameters,
        "steps": facts["steps"],
        "symbols": facts["symbols"],
        "schedule": facts["schedule"],
        "validation": {
            "symbols": facts["validation"]["symbols"],
            "pieces": facts["validation"]["pieces"],
            "nats_per_symbol": nats,
            "bits_per_symbol": None if nats is None else nats_to_bits(nats),
        },
    }


def _resume_hint(sources: list[str], target: Path) -> str:
    """Returns the command that resumes a stopped run; its other options are in the checkpoint."""
    named = " ".join(map(shlex.quote, sources))
    command = f"onward train {named} -o {shlex.quote(str(target))} --resume"
    return f"the run is saved in {checkpoint_path(target)}; continue with: {command}"


def _prime(corpus: Corpus) -> str:
    """Returns the first words of the text as a prime that the model knows; "" for a text from a pipe."""
    if corpus.digests:
        return ""
    text = ""
    with suppress(OSError, OnwardError), open_text(corpus.documents[0]) as file:  # may be deleted
        text = file.read(_PRIME_BYTES).decode("utf-8", "ignore")
    found = _TWO_WORDS.search(text) or _WORD.search(text)
    return found[0] if found else ""


def _conclude(result: dict[str, Any], target: Path, prime: str, *, resumed_at: int) -> None:
    """Prints the result, the files that were written, and what to do with them."""
    nats, bits = (result["validation"][name] for name in ("nats_per_symbol", "bits_per_symbol"))
    loss = "none (the text is too short)" if nats is None else f"{nats:.4f} nats, {bits:.4f} bits per symbol"
    say(f"{'held-out loss':<15} {loss}")
    if nats is not None:
        pieces, symbols = result["validation"]["pieces"], result["validation"]["symbols"]
        say(f"{'':<15} {pieces} pieces from all parts of the text, {symbols:,} symbols, not trained on")
    seconds = f"{result['seconds']:,.0f} s{f' since it resumed at step {resumed_at:,}' if resumed_at else ''}"
    say(f"{'trained on':<15} {result['symbols']:,} symbols in {result['steps']:,} steps, {seconds}")
    say(f"{'model':<15} {target}")
    for label, path in (("curves", curves_path(target)), ("log", log_path(target))):
        if path.exists():
            say(f"{label:<15} {path}")
    model = shlex.quote(str(target))
    say("next")
    say(f"  onward write {model}{f' --prime {shlex.quote(prime)}' if prime else ''}")
    say(f"  onward score {model} FILE --html surprise.html")
    say(f"  onward info {model}")
