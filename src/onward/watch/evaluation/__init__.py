"""Evaluation: labelled files, explanations, plots and summaries."""
