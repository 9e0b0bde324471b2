"""Scoring: the surprise of each symbol of a text."""
