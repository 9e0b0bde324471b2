"""`onward info`: what a model file holds."""

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
    facts = onward.load(model).info()
    if json:
        emit_json(facts)
        return
    symbols = facts["vocabulary"]["symbols"]
    if len(symbols) > _SHOWN:
        symbols[_SHOWN:] = [f"and {len(symbols) - _SHOWN:,} more"]
    emit_facts(facts)
