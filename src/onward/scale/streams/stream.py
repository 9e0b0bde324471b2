"""Streams: sources whose lines are in numbered partitions, each with its own place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Protocol

from onward.errors import InputError
from onward.scale.address import StreamAddress
from onward.scale.kafka.topic import KafkaTopic
from onward.scale.streams.redis import RedisStream
from onward.watch.input.format import InputFormat
from onward.watch.stream.runner import LineSource
from onward.watch.stream.store import WatchStore


class Stream(Protocol):
    """A stream.

    Attributes:
        count: number of its partitions.
    """

    @property
    def count(self) -> int: ...

    def open(self, partition: int, store: WatchStore) -> LineSource:
        """Opens a partition at the place in the store; if there is none, at its first message."""
        ...

    def close(self) -> None: ...


@contextmanager
def opened_stream(
    address: StreamAddress,
    group: str | None,
    source: InputFormat,
    settings: Mapping[str, str],
    *,
    follows: bool,
    notify: Callable[[str], None],
) -> Iterator[Stream]:
    """Opens a stream until the block ends.

    Args:
        address: address of the stream.
        group: names the watch for other programs; two watches of one stream need two groups.
        source: the format of the messages.
        settings: further settings of the client.
        follows: whether to wait for more messages at the ends of the partitions.
        notify: called with messages for the user.

    Raises:
        CorpusError: there is no such stream, or its server does not answer.
        InputError: the format, the group or a setting is wrong.
    """
    if group is None:
        raise InputError(
            f"expected the name of a group to watch {address}, got none",
            hint="name one with --group; other programs see by it how far the watch is",
        )
    if not group.strip() or not group.isprintable():
        raise InputError(
            f"expected the name of a group, got {group!r}", hint="use letters and digits, such as --group web"
        )
    if source.form == "csv":
        raise InputError(
            "the detector reads CSV, whose first row names the columns; a stream has no first row",
            hint="send messages as JSON or logfmt, and learn the detector from such lines",
        )
    if address.scheme == "redis":
        stream: Stream = RedisStream(address, group, follows=follows, notify=notify)
    else:
        # A JSON object may be written over several lines; a message with log lines may hold several.
        divides = source.form != "jsonl"
        stream = KafkaTopic(address, group, settings, follows=follows, divides=divides, notify=notify)
    with closing(stream):
        yield stream
