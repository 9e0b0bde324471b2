"""The list of rungs, from the bottom up."""

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
    "numpy": "by_hand",  # a file numpy.py would shadow the library if it were run as a script
    "graph": "graph",
}
"""The module of each rung, which has `RUNG` and `run(settings)`."""


def module_of(name: str) -> ModuleType:
    """Returns the module of a rung.

    Raises:
        InputError: there is no such rung.
    """
    if name not in MODULES:
        raise InputError(
            f"expected the name of a rung, got {name!r}", hint=f"the rungs are {', '.join(MODULES)}"
        )
    return import_module(f"onward.lesson.{MODULES[name]}")


def rungs() -> list[Rung]:
    """Returns all rungs from the bottom up."""
    return [module_of(name).RUNG for name in MODULES]
