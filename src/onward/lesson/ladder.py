"""The rungs in order, from the bottom up."""

from importlib import import_module
from types import ModuleType

from onward.errors import InputError
from onward.lesson.rung import Rung

MODULES = {
    "mix": "mix",
    "embeddings": "embeddings",
    "three": "three",
    "eight": "eight",
    "recurrent": "recurrent",
    "sequence": "sequence",
    "onehot": "onehot",
    "stateful": "stateful",
    "deep": "deep",
    "scan": "scan",
    "numpy": "by_hand",  # a file called numpy.py would stand in the way of the library when run by itself
    "graph": "graph",
}
"""The file of each rung; it has `RUNG` and `run(settings)`."""


def module_of(name: str) -> ModuleType:
    """The module of a rung.

    Raises:
        InputError: there is no such rung.
    """
    if name not in MODULES:
        raise InputError(f"there is no rung {name!r}", hint=f"the rungs are {', '.join(MODULES)}")
    return import_module(f"onward.lesson.{MODULES[name]}")


def rungs() -> list[Rung]:
    """All rungs, from the bottom up."""
    return [module_of(name).RUNG for name in MODULES]
