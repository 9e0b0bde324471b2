"""Completion: a search for the likeliest words, lines and continuations."""
