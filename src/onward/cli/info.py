"""`onward info`: what a model file holds."""

from typing import Any

import onward
from onward.cli.options import Json, Model
from onward.cli.output import emit_facts, emit_json

_SHOWN = 40
"""Symbols of the vocabulary that a person is shown; --json has all."""


def info(model: Model, json: Json = False) -> None:
    """Show what a model is: architecture, size, vocabulary, how it was trained, hashes.

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
    """What a detector flags, and the names of the events that its model knows by ids."""
    from onward.watch.detector import Detector  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.summary import summary  # noqa: PLC0415

    detector = Detector.load(model)
    form = detector.source["reader"]["form"] if detector.source else "sequences"
    return {"form": form, **summary(detector), "names": list(detector.vocabulary.names)}
