"""Scoring: how unusual the events of a sequence are."""
