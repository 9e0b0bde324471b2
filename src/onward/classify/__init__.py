"""Classification: batches from several sources, pseudo-labels, and a classifier of sequences."""

from onward.classify.mix import MixIterator

__all__ = ["MixIterator"]
