"""The command line: one file for each command, without logic of its own."""

from onward.cli.app import main

__all__ = ["main"]
