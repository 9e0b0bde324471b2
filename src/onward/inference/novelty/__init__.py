"""Novelty: the spans of a text that are copied from a corpus."""
