"""Streams: records in, alarms out, through kills and restarts."""
