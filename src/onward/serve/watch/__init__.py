"""Detectors behind HTTP."""
