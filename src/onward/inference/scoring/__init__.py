"""Scores: how surprising a model finds a text, in total, by line or by symbol."""
