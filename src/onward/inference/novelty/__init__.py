"""Novelty: the spans of a text that stand word for word in a corpus."""
