"""Streams whose partitions are watched, each with its own state."""
