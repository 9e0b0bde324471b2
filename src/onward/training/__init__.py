"""Fitting a model to an encoded corpus, exactly resumable."""
