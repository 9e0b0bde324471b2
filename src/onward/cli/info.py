"""`onward info`: the facts about a model file."""

from typing import Any

import onward
from onward.cli.options import Json, Model
from onward.cli.output import emit_facts, emit_json

_SHOWN = 40  # symbols of the vocabulary that are printed; --json prints all


def info(model: Model, json: Json = False) -> None:
    """Show facts about a model: architecture, size, vocabulary, training and hashes.

    \b
    onward info nietzsche.onward
    onward info nietzsche.onward --json
    """
    loaded = onward.load(model)
    facts = loaded.info()
    if loaded.artefact.watch is not None:
        facts = {"file": facts["file"], "detector": _detector(model), **facts}
    if json:
        emit_json(facts)
        return
    for names in (facts["vocabulary"]["symbols"], facts.get("detector", {}).get("names", [])):
        if len(names) > _SHOWN:
            names[_SHOWN:] = [f"and {len(names) - _SHOWN:,} more"]
    emit_facts(facts)


def _detector(model: str) -> dict[str, Any]:
    """Returns the facts about a detector, and the names of its events."""
    from onward.watch.detector import Detector  # noqa: PLC0415 - `--help` needs no PyTorch
    from onward.watch.evaluation.summary import summary  # noqa: PLC0415

    detector = Detector.load(model)
    form = detector.source["reader"]["form"] if detector.source else "sequences"
    return {"form": form, **summary(detector), "names": list(detector.vocabulary.names)}
