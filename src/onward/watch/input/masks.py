"""Masks the parts of a line whose form shows that they vary: numbers, ids, addresses and times."""

import re

MASK = "<*>"

LONGEST = 1000
"""Maximum number of characters of a line to use; the rest is usually data and not a message."""

_DAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6},? {1,2})?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DATE = rf"{_DAY}(?:{_MONTH} {{1,2}}\d{{1,2}}|\d{{1,2}}[ /-]{_MONTH})(?:,?[ /-]\d{{4}}(?!\d))?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[ECMP][SD]T|CES?T)\b| ?[+-]\d\d:?\d\d\b)?"
_CLOCK = rf"\d{{1,2}}:\d\d:\d\d(?:[.,]\d+)?(?: ?[AP]M\b)?{_ZONE}"

_HEX = "[0-9a-fA-F]"
_VARIABLE = re.compile(
    r"((?=[-+:0-9]|\b[a-fA-FjmsontwJMSONTW])(?:"  # a quick look at how all of these begin
    rf"(?<![^\W_]){_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"  # UUID
    rf"|\b(?:(?i:{_DATE}(?:[ :T]{{1,2}}{_CLOCK}(?: \d{{4}}\b)?)?)"
    rf"|(?:{_HEX}{{2}}:){{5}}{_HEX}{{2}}\b)"  # MAC address
    rf"|(?<![\w:])(?:{_HEX}{{0,4}}:){{3,7}}{_HEX}{{1,4}}(?![\w:])"  # IPv6 address
    rf"|\b(?:0[xX]{_HEX}+\b"
    rf"|(?=[a-fA-F]*[0-9]){_HEX}{{8,}}\b"  # hexadecimal id with at least one digit
    rf"|(?i:{_CLOCK}))"
    r"|[-+]?\d+(?:[.,:/Tt-]\d+)*[Zz]?"  # number, date, time, IP address, version
    "))"
)


def mask_line(line: str) -> str:
    """Returns the first `LONGEST` characters with MASK for each number, address, id and time.

    The mask may be inside a word: `blk_-1608` becomes `blk_<*>`, and `R02-M1` becomes `R<*>-M<*>`. If the
    line is the path of a URL, its parts are words.
    """
    return MASK.join(split_line(line)[::2])


def split_line(line: str) -> list[str]:
    """Returns the parts of a line: text and masked content by turns, beginning and ending with text."""
    if line.startswith("/") and " " not in line:
        line = line.partition("?")[0].replace("/", " /").strip()
    if len(line) > LONGEST:
        line = line[:LONGEST].rpartition(" ")[0] or line[:LONGEST]
    return _VARIABLE.split(line)
