"""One partition of a topic as a source of lines."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from onward.stored import Count, StoredModel
from onward.watch.input.lines import LONGEST_LINE


@dataclass(frozen=True)
class KafkaPosition:
    """A place in a partition.

    Attributes:
        topic: name of the topic.
        topic_id: id that the broker gave the topic; "" if it gives none.
        partition: number of the partition.
        offset: offset of the next message.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "KafkaPosition":
        """Returns the position that `to_json` returned.

        Raises:
            ValueError: the data is not a position.
        """
        return cls(**_StoredPosition.model_validate(data).model_dump())


class _StoredPosition(StoredModel):
    topic: str
    topic_id: str
    partition: Count
    offset: Count


class KafkaPartition:
    """A `LineSource` (see `watch.stream.runner`). A message without a value, a tombstone, has no line.

    Args:
        position: where to begin.
        watch: id of the watch, which holds the partition.
        fetch: fetches messages, and passes them to `add` of their partitions.
        follows: whether to wait for more messages at the end of the partition.
        divides: whether the line breaks in a message divide it into lines.

    Attributes:
        number: number of the partition.
        watch: as given.
        next: offset of the next message to `add`.
        committed: offset up to which all messages are in the state of the watch.
        is_at_end: whether the broker has said that there is no further message at present.
        ended: whether it has said so, and the partition is not followed. Later messages are left out.
        truncated: number of lines so far that were cut to `LONGEST_LINE` bytes.
    """

    def __init__(
        self,
        position: KafkaPosition,
        watch: str,
        fetch: Callable[[], None],
        *,
        follows: bool,
        divides: bool,
    ) -> None:
        self._position, self._fetch, self._follows, self._divides = position, fetch, follows, divides
        self._lines: list[bytes] = []
        self.number, self.watch = position.partition, watch
        self.next = self.committed = position.offset
        self.is_at_end = self.ended = False
        self.truncated = 0

    @property
    def position(self) -> KafkaPosition:
        return self._position

    def read(self) -> list[bytes]:
        self.committed = self._position.offset
        if not self._lines:
            self._fetch()
        lines, self._lines = self._lines, []
        if lines:  # otherwise the caller commits nothing
            self._position = replace(self._position, offset=self.next)
        return lines

    def finish(self) -> list[bytes]:
        return []

    def close(self) -> None:
        """Does nothing: the topic is closed as a whole."""

    def reach_end(self) -> None:
        """Notes that there is no further message at present."""
        self.is_at_end, self.ended = True, not self._follows

    def add(self, value: bytes | None, offset: int) -> None:
        """Takes the message at an offset."""
        if self.ended:
            return
        self.is_at_end, self.next = False, offset + 1
        if value is None:
            return
        for line in value.rstrip(b"\r\n").split(b"\n") if self._divides else [value]:
            self.truncated += len(line) > LONGEST_LINE
            self._lines.append(line[:LONGEST_LINE])
