"""Evaluates a detector on labelled sequences, and explains its verdicts."""
