"""Rows of CSV, line by line: which lines make up a row, and which row names the columns.

A quoted cell may hold line breaks, so a row may be several lines. Nobody can tell such a row from a quote
that was never closed until the quote that closes it has come: until then its lines are held. Where what
follows cannot be the rest of it, or is not in sight after `MOST_LINES`, the first line is given as it is, to
be counted as broken, and those behind it are read anew.

The first row names the columns. A row that names them again is no record but the beginning of another file:
one with the same names, or with all names that are looked for, of which there must be two, since a single
cell may well say the name of its column. It replaces them, so files with other orders of columns may follow.
"""

import csv
from collections import deque
from collections.abc import Iterable
from typing import Any

from onward.watch.input.lines import LONGEST_LINE

MOST_LINES = 200
"""Lines of one row."""

_OPEN = "unexpected end of data"
"""What `csv` says where a quote is not closed."""

Line = tuple[int, str]
"""The number of a line, or of the first of several, and its text."""


class CsvRows:
    """Finds the rows, and names their cells.

    Args:
        names: of the columns that are looked for.
        delimiter: between cells.

    Attributes:
        columns: their names, once a row has said them.
        held: the lines of a row that is not complete.
    """

    def __init__(self, names: Iterable[str], delimiter: str) -> None:
        self._names, self._delimiter = frozenset(names), delimiter
        self._one = next(iter(self._names), "")
        self.columns: list[str] | None = None
        self.held: list[Line] = []

    def take(self, number: int, text: str) -> list[Line]:
        """The rows that a further line completes."""
        if not self.held and '"' not in text:
            return [(number, text)]
        return self._joined([(number, text)])

    def finish(self) -> list[Line]:
        """The lines that are held, where nothing will follow them."""
        found: list[Line] = []
        while self.held:
            broken, *others = self.held
            self.held = []
            found += [broken, *self._joined(others)]
        return found

    def values(self, text: str) -> dict[str, Any] | None:
        """The cells of a row by name, or None where it names the columns.

        Raises:
            ValueError: it is no CSV, or has too many cells or too few.
        """
        try:
            cells = self._cells(text)
        except csv.Error as error:  # which is no ValueError
            told = "a quote in it is not closed" if str(error) == _OPEN else str(error)
            raise ValueError(f"it is no CSV: {told}") from error
        if self.columns is None or self._is_header(cells, self.columns):
            self.columns = cells
            return None
        if len(cells) != len(self.columns):
            raise ValueError(f"expected {len(self.columns)} columns, got {len(cells)}")
        return dict(zip(self.columns, cells, strict=True))

    def to_json(self) -> dict[str, Any]:
        """What there is to know in the midst of a file, as plain values."""
        return {"columns": self.columns, "held": self.held}

    def restore(self, data: dict[str, Any]) -> None:
        """Goes on from what `to_json` gave."""
        self.columns = data["columns"]
        self.held = [(number, text) for number, text in data["held"]]

    def _joined(self, lines: Iterable[Line]) -> list[Line]:
        """Rows out of the lines that are held and further ones."""
        waiting, found = deque(lines), list[Line]()
        while waiting:
            number, text = waiting.popleft()
            self.held.append((number, text))
            if len(self.held) > 1 and '"' not in text and len(self.held) < MOST_LINES:
                continue  # nothing in it could close the quote
            row = "\n".join(line for _, line in self.held)
            problem = self._problem(row)
            if problem == _OPEN and len(self.held) < MOST_LINES and len(row) < LONGEST_LINE:
                continue
            (first, broken), *others = self.held
            self.held = []
            if problem:
                found.append((first, broken))
                waiting.extendleft(reversed(others))
            else:
                found.append((first, row))
        return found

    def _problem(self, row: str) -> str:
        """Why it is no row, if it is none."""
        try:
            self._cells(row)
        except csv.Error as error:
            return str(error)
        return ""

    def _cells(self, row: str) -> list[str]:
        return next(csv.reader([row], delimiter=self._delimiter, strict=True))

    def _is_header(self, cells: list[str], columns: list[str]) -> bool:
        if self._one not in cells and columns[0] not in cells:
            return False  # as of nearly all rows
        found = set(cells)
        return found == set(columns) or (len(self._names) > 1 and self._names <= found)
