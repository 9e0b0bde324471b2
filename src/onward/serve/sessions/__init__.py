"""Typing sessions, in memory and on disk."""
