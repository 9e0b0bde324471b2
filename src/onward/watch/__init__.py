"""Watches events and log lines, and raises calibrated alarms for sequences that are not normal."""
