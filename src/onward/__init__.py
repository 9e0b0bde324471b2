"""Learn what comes next in any sequence of symbols, then write it, complete it, or watch it.

Importing onward is fast: each name loads its modules, such as PyTorch, when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onward.threads import configure_threads

if TYPE_CHECKING:
    from onward.api import load, train
    from onward.classify.classifier import SequenceClassifier
    from onward.classify.pseudo_label import pseudo_label
    from onward.data.vocabulary import Vocabulary
    from onward.errors import OnwardError
    from onward.inference.novelty.novelty import novelty
    from onward.inference.session import Session
    from onward.inference.trained_model import TrainedModel
    from onward.training.recipe import Recipe, find_recipe
    from onward.watch.detector import Detector
    from onward.watch.estimator import SequenceDetector

_MODULES = {
    "Detector": "onward.watch.detector",
    "OnwardError": "onward.errors",
    "Recipe": "onward.training.recipe",
    "SequenceClassifier": "onward.classify.classifier",
    "SequenceDetector": "onward.watch.estimator",
    "Session": "onward.inference.session",
    "TrainedModel": "onward.inference.trained_model",
    "Vocabulary": "onward.data.vocabulary",
    "find_recipe": "onward.training.recipe",
    "load": "onward.api",
    "novelty": "onward.inference.novelty.novelty",
    "pseudo_label": "onward.classify.pseudo_label",
    "train": "onward.api",
}

__all__ = [
    "Detector",
    "OnwardError",
    "Recipe",
    "SequenceClassifier",
    "SequenceDetector",
    "Session",
    "TrainedModel",
    "Vocabulary",
    "find_recipe",
    "load",
    "novelty",
    "pseudo_label",
    "train",
]

configure_threads()


def __getattr__(name: str) -> Any:
    """Imports a public name on first use; `__version__` is the version of the installed package."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        value: Any = version("onward")
    elif name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module 'onward' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
