"""Log templates: the kinds of line in a log, mined by drain3 from the training lines."""

import re
from collections.abc import Iterable
from typing import Any

from onward.data.vocabulary import SPECIAL, UNKNOWN

NO_TEMPLATE = SPECIAL[UNKNOWN]
"""The event of a line that matches no template."""

LONGEST = 1000
"""The maximum number of characters of a line to use; the rest is usually data and not a message."""

_CACHED_LINES = 1 << 16
"""Number of masked lines whose templates are cached."""


class Templates:
    """Finds the template of a line.

    Args:
        texts: the templates, their words separated by single spaces, with `<*>` for variable parts.

    Attributes:
        texts: as given.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        from drain3.drain import LogCluster  # noqa: PLC0415 - only log lines need it

        self.texts = tuple(texts)
        self._miner = _miner()
        for number, text in enumerate(self.texts, 1):
            cluster = LogCluster(text.split(), number)
            self._miner.id_to_cluster[number] = cluster
            self._miner.add_seq_to_prefix_tree(self._miner.root_node, cluster)
        self._cache: dict[str, str] = {}

    @classmethod
    def mine(cls, lines: Iterable[str]) -> "Templates":
        """Returns the templates of lines."""
        miner = _miner()
        seen: set[str] = set()
        for line in lines:
            content = mask_line(line)
            if content not in seen:  # drain3 learns nothing from a duplicate
                seen.add(content)
                miner.add_log_message(content)
        texts = dict.fromkeys(cluster.get_template() for cluster in miner.clusters)
        return cls(text for text in texts if text)

    def event(self, line: str) -> str:
        """Returns the template of a line, or NO_TEMPLATE."""
        content = mask_line(line)
        event = self._cache.get(content)
        if event is None:
            cluster = self._miner.match(content, full_search_strategy="fallback")
            event = cluster.get_template() if cluster else NO_TEMPLATE
            if len(self._cache) >= _CACHED_LINES:
                self._cache.clear()
            self._cache[content] = event
        return event

    def to_json(self) -> list[str]:
        return list(self.texts)


def _miner() -> Any:
    """Returns a miner with drain3's published defaults."""
    from drain3.drain import Drain  # noqa: PLC0415 - only log lines need it

    return Drain(depth=4, sim_th=0.4, max_children=100, param_str=MASK)


MASK = "<*>"

_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"  # MAC address
    r"|\b0x[0-9a-f]+\b"
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"  # hexadecimal id with at least one digit
    r"|[-+]?\d+(?:[.,:/T-]\d+)*Z?",  # number, date, time, IP address, version
    re.IGNORECASE,
)


def mask_line(line: str) -> str:
    """Returns the first `LONGEST` characters with MASK for each number, address, id and time.

    The mask may be inside a word: `blk_-1608` becomes `blk_<*>`, and `R02-M1` becomes `R<*>-M<*>`.
    """
    return _VARIABLE.sub(MASK, line[:LONGEST])
