"""The command line: one command a file, no logic in it."""

from onward.cli.app import main

__all__ = ["main"]
