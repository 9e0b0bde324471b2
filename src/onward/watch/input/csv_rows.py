"""Splits lines of CSV into rows, and finds the row that names the columns.

A quoted cell may contain line breaks, so a row may span several lines. Until the closing quote comes, such a
row looks the same as a row whose quote was never closed, so its lines are held back. If the following lines
do not complete the row within `MOST_LINES`, the first line is returned alone and counted as unreadable, and
the lines after it are split again.

The first row names the columns. A later row that names them again is the header of another file, and replaces
the names, so that files with different column orders may follow each other. A row counts as such a header if
it has the same names, or all names that are looked for. The second rule needs two names or more, because a
single cell may contain the name of its column.
"""

import csv
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field

from onward.stored import AsTuple, Count, StoredModel
from onward.watch.input.lines import LONGEST_LINE

csv.field_size_limit(LONGEST_LINE)  # the default is 128 KB

MOST_LINES = 200
"""The most lines that a row may span."""

MESSAGE = "message"
"""Name of a last column without a name. Windows' Event Viewer exports such a column."""

_FIELDS = "#Fields:"
"""Starts the line that names the columns in logs of IIS, whose other lines with a # are comments."""

_OPEN_QUOTE = "unexpected end of data"
"""The `csv` module's error message for a quote that is not closed."""

NumberedLine = tuple[int, str]
"""Number and text of a line; for a row of several lines the number of the first."""


class _RowsState(StoredModel):
    """What `CsvRows.to_json` returns."""

    columns: list[str] | None
    comments: bool = False
    held: Annotated[list[Annotated[tuple[Count, str], AsTuple]], Field(max_length=MOST_LINES)]


class _Line:
    """A line that may be part of a row of several lines.

    It is parsed at most once as the first line of a row, and once as a later line.

    Attributes:
        number: number of the line.
        text: the line.
    """

    def __init__(self, number: int, text: str, delimiter: str) -> None:
        self.number, self.text, self._delimiter = number, text, delimiter

    @cached_property
    def problem_as_first(self) -> str:
        """The reason why the line is not a row: `_OPEN_QUOTE` if it begins one; "" if it is one."""
        return _problem(self.text, self._delimiter)

    @cached_property
    def problem_within(self) -> str:
        """The same if the line before it ends within quotes."""
        return _problem(f'"{self.text}', self._delimiter) if '"' in self.text else _OPEN_QUOTE


class CsvRows:
    """Collects lines into rows, and returns the cells of a row by name.

    Args:
        names: the columns to look for, without spaces around them.
        delimiter: character between cells.

    Attributes:
        columns: names of the columns; None before the first row.
        pending: lines of a row that is not complete.
    """

    def __init__(self, names: Iterable[str], delimiter: str) -> None:
        self._names, self._delimiter = frozenset(names), delimiter
        self._any_name = next(iter(self._names), "")
        self._has_comments = False
        self._set_header(None)
        self._pending: list[_Line] = []  # of a row that is not complete

    @property
    def pending(self) -> list[NumberedLine]:
        return [(line.number, line.text) for line in self._pending]

    def add_line(self, number: int, text: str) -> list[NumberedLine]:
        """Returns the rows that one more line completes."""
        if not self._pending and '"' not in text:
            return [(number, text)]
        return self._split([_Line(number, text, self._delimiter)])

    def finish(self) -> list[NumberedLine]:
        """Returns the pending lines as rows, at the end of the input."""
        found: list[NumberedLine] = []
        while self._pending:
            broken, *others = self._pending
            self._pending = []
            found += [(broken.number, broken.text), *self._split(others)]
        return found

    def cells(self, text: str) -> dict[str, Any] | None:
        """Returns the cells of a row by name, or None if the row names the columns.

        Raises:
            ValueError: the row is not CSV, or has the wrong number of cells.
        """
        if text.startswith("#") and (self._header is None or self._has_comments):
            self._has_comments = True
            if text.startswith(_FIELDS):
                self._set_header(text.removeprefix(_FIELDS).split())
            return None
        try:
            cells = _cells(text, self._delimiter)
        except csv.Error as error:  # which is not a ValueError
            problem = "a quote is not closed" if str(error) == _OPEN_QUOTE else str(error)
            raise ValueError(f"not CSV: {problem}") from error
        if self._header is None or self._is_header(cells, self._header):
            self._set_header(cells)
            return None
        if len(cells) == len(self._header) + 1 and self._lacks_message:
            return dict(zip((*(self.columns or ()), MESSAGE), cells, strict=True))
        if len(cells) != len(self._header):
            raise ValueError(f"expected {len(self._header)} columns, got {len(cells)}")
        if self._is_padded:
            cells = [cell.strip() for cell in cells]
        return dict(zip(self.columns or (), cells, strict=True))

    def to_json(self) -> dict[str, Any]:
        """Returns the state in the middle of a file, for `restore`."""
        return {"columns": self._header, "comments": self._has_comments, "held": self.pending}

    def restore(self, data: Any) -> None:
        """Continues from `to_json`.

        Raises:
            ValueError: the data is not such a state.
        """
        state = _RowsState.model_validate(data)
        self._set_header(state.columns)
        self._has_comments = state.comments
        self._pending = [_Line(number, text, self._delimiter) for number, text in state.held]

    def _set_header(self, cells: list[str] | None) -> None:
        self._header = cells
        self.columns = None if cells is None else [cell.strip() for cell in cells]
        self._lacks_message = cells is not None and MESSAGE in self._names and MESSAGE not in cells
        self._is_padded = self.columns != cells  # then the spaces around other cells are not part of them

    def _split(self, lines: Iterable[_Line]) -> list[NumberedLine]:
        """Returns the rows in the pending lines and these lines."""
        waiting, found = deque(lines), list[NumberedLine]()
        size = sum(len(line.text) for line in self._pending)
        while waiting:
            line = waiting.popleft()
            problem = line.problem_within if self._pending else line.problem_as_first
            self._pending.append(line)
            size += len(line.text)
            if problem == _OPEN_QUOTE and len(self._pending) < MOST_LINES and size < LONGEST_LINE:
                continue
            row, self._pending, size = self._pending, [], 0
            if problem:
                found.append((row[0].number, row[0].text))
                waiting.extendleft(reversed(row[1:]))
            else:
                found.append((row[0].number, "\n".join(each.text for each in row)))
        return found

    def _is_header(self, cells: list[str], columns: list[str]) -> bool:
        if self._is_padded:
            cells, columns = [cell.strip() for cell in cells], [cell.strip() for cell in columns]
        if self._any_name not in cells and columns[0] not in cells:
            return False  # a fast answer for nearly all rows
        found = set(cells)
        return found == set(columns) or (len(self._names) > 1 and self._names <= found)


def _problem(row: str, delimiter: str) -> str:
    """Returns the reason why a text is not a row; "" if it is one."""
    try:
        _cells(row, delimiter)
    except csv.Error as error:
        return str(error)
    return ""


def _cells(row: str, delimiter: str) -> list[str]:
    return next(csv.reader([row], delimiter=delimiter, strict=True))
