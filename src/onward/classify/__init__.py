"""Classification of sequences: a classifier, mixed batches from several sources, and pseudo-labels."""

from onward.classify.mix import MixIterator

__all__ = ["MixIterator"]
