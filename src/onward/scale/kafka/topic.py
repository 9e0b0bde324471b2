"""A Kafka topic, whose partitions are read from the places that their states hold.

Partitions are assigned by hand, not by the group, because a partition needs its state. Only messages of
committed transactions are read.
"""

import time
from collections.abc import Callable, Mapping

from onward.errors import InputError
from onward.scale.address import StreamAddress
from onward.scale.kafka.claims import KafkaClaims
from onward.scale.kafka.client import topic_recreated
from onward.scale.kafka.partition import KafkaPartition, KafkaPosition
from onward.scale.kafka.reader import KafkaReader
from onward.watch.stream.store import WatchStore

RENEW_SECONDS = 5.0
"""Time between two commits of the group's offsets."""


class KafkaTopic:
    """A topic.

    Args:
        address: address of the topic.
        group: the group whose committed offsets show how far the watch is.
        settings: further settings of the client.
        follows: whether to wait for more messages at the ends of the partitions.
        divides: whether the line breaks in a message divide it into lines.
        notify: called with messages for the user.

    Attributes:
        count: number of partitions when it was opened.

    Raises:
        CorpusError: no broker answers, or the topic does not exist.
        InputError: a setting is wrong, or the package confluent-kafka is missing.
    """

    def __init__(
        self,
        address: StreamAddress,
        group: str,
        settings: Mapping[str, str],
        *,
        follows: bool,
        divides: bool,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name, self._follows, self._divides = address.name, follows, divides
        self._reader = KafkaReader(address.bootstrap, address.name, group, settings, notify)
        self._claims = KafkaClaims(self._reader.consumer, address.bootstrap, address.name, group)
        self._partitions: list[KafkaPartition] = []
        self._renewed: float | None = None  # when the offsets were written; None: nothing is assigned yet
        self.count = self._reader.health.count

    def open(self, partition: int, store: WatchStore) -> KafkaPartition:
        """Opens a partition at the place in the store; if there is none, at its first message.

        Raises:
            BusyError, CorpusError: see `KafkaClaims.check`.
            InputError: the store belongs to another partition or is an old copy, or the topic was made anew.
        """
        known = store.fact("position", KafkaPosition.from_json)
        if known and (known.topic, known.partition) != (self._name, partition):
            raise InputError(
                f"{store.path} belongs to partition {known.partition} of {known.topic}, not to partition "
                f"{partition} of {self._name}",
                hint="name another folder with --state",
            )
        identity = self._reader.health.id
        if known and known.topic_id and identity and known.topic_id != identity:
            raise topic_recreated(self._name)
        watch = store.watch_id()
        self._claims.check(partition, watch, known.offset if known else None, store.path)
        place = known or KafkaPosition(self._name, identity, partition, self._reader.first_offset(partition))
        opened = KafkaPartition(place, watch, self._fetch, follows=self._follows, divides=self._divides)
        self._partitions.append(opened)
        return opened

    def close(self) -> None:
        """Writes the offsets of the group, and closes the connection."""
        if self._renewed is not None and self._reader.health.is_available:
            self._claims.renew(self._partitions)
        self._reader.consumer.close()

    def _fetch(self) -> None:
        """Fetches messages for all partitions. Their states were committed once before the first call."""
        if self._renewed is None:
            self._claims.claim(self._partitions)
            self._reader.assign(self._partitions)
            self._renewed = time.monotonic()
        self._reader.fetch()
        if self._reader.health.is_available and time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._claims.renew(self._partitions)
            self._renewed = time.monotonic()
