"""Streams: a monitor turns records into alarms, and survives kills and restarts."""
