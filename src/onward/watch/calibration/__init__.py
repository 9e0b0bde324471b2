"""Calibration: from scores of normal sequences to p-values with a stated rate of false alarms."""
