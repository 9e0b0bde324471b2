"""Typing sessions, in memory and on the disk."""
