"""The rungs in order, from the bottom up."""

from importlib import import_module
from types import ModuleType

from onward.errors import InputError
from onward.lesson.rung import Rung

MODULES = ("embeddings", "three", "eight", "recurrent", "sequence", "onehot", "stateful", "deep")
"""The rungs, each a file of its name, which has `RUNG` and `run(settings)`."""


def module_of(name: str) -> ModuleType:
    """The module of a rung.

    Raises:
        InputError: there is no such rung.
    """
    if name not in MODULES:
        raise InputError(f"there is no rung {name!r}", hint=f"the rungs are {', '.join(MODULES)}")
    return import_module(f"onward.lesson.{name}")


def rungs() -> list[Rung]:
    """All rungs, from the bottom up."""
    return [module_of(name).RUNG for name in MODULES]
