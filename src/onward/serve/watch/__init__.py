"""Detectors that watch the records which clients send."""
