"""Calibration: turns the features of a sequence into a p-value with a guaranteed rate of false alarms."""
