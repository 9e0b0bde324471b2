"""What differs between two log lines of one kind, taken out: numbers, addresses, ids, times."""

import re

MASK = "<*>"

_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"  # MAC
    r"|\b0x[0-9a-f]+\b"
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"  # an id in hexadecimal, with a digit at least
    r"|[-+]?\d+(?:[.,:/T-]\d+)*Z?",  # numbers, dates, times, addresses, versions
    re.IGNORECASE,
)


def masked(line: str) -> str:
    """The line with MASK in the place of each number, address, id and time.

    What is masked may stand inside a word: `blk_-1608` is `blk_<*>`, and `R02-M1` is `R<*>-M<*>`.
    """
    return _VARIABLE.sub(MASK, line)
