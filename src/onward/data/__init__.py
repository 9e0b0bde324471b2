"""Sources, vocabularies, encoded corpora, and the order in which training reads them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onward.data.mix import MixIterator

__all__ = ["MixIterator"]


def __getattr__(name: str) -> Any:
    """`MixIterator`, loaded when it is first used, since it needs PyTorch."""
    if name not in __all__:
        raise AttributeError(f"module 'onward.data' has no attribute {name!r}")
    from onward.data.mix import MixIterator  # noqa: PLC0415

    return MixIterator
