"""Log templates: the kinds of line of a log, mined by drain3 from the lines that a detector learns from."""

import re
from collections.abc import Iterable
from typing import Any

from onward.data.vocabulary import SPECIAL, UNKNOWN

NO_TEMPLATE = SPECIAL[UNKNOWN]
"""The event of a line that fits no template."""

LONGEST = 1000
"""Characters of a line that count; what is behind them is data more often than message."""

_REMEMBERED = 1 << 16
"""Masked lines whose template is remembered."""


class Templates:
    """Masks lines, and names the template of each.

    Args:
        texts: of the templates, words separated by one space each, `<*>` for what may differ.

    Attributes:
        texts: as given.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        from drain3.drain import LogCluster  # noqa: PLC0415 - only where there are log lines

        self.texts = tuple(texts)
        self._miner = _miner()
        for number, text in enumerate(self.texts, 1):
            cluster = LogCluster(text.split(), number)
            self._miner.id_to_cluster[number] = cluster
            self._miner.add_seq_to_prefix_tree(self._miner.root_node, cluster)
        self._found: dict[str, str] = {}

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Templates":
        """Mined from lines."""
        miner = _miner()
        seen: set[str] = set()
        for line in lines:
            content = _content(line)
            if content not in seen:  # a second one of the same words would change nothing
                seen.add(content)
                miner.add_log_message(content)
        texts = dict.fromkeys(cluster.get_template() for cluster in miner.clusters)
        return cls(text for text in texts if text)

    def event(self, line: str) -> str:
        """The template of a line, or NO_TEMPLATE."""
        content = _content(line)
        event = self._found.get(content)
        if event is None:
            cluster = self._miner.match(content, full_search_strategy="fallback")
            event = cluster.get_template() if cluster else NO_TEMPLATE
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[content] = event
        return event

    def to_json(self) -> list[str]:
        """The templates as plain values."""
        return list(self.texts)


def _content(line: str) -> str:
    """What of a line decides its template."""
    return masked(line[:LONGEST])


def _miner() -> Any:
    """The miner with its published defaults."""
    from drain3.drain import Drain  # noqa: PLC0415

    return Drain(depth=4, sim_th=0.4, max_children=100, param_str=MASK)


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
