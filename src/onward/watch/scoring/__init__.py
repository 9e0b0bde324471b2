"""Scores events and sequences by the model, the profile of normal sequences and an n-gram model."""
