"""Fetches the messages of partitions.

The client reconnects by itself. When the broker answers again, all partitions are assigned again at their
places, so that it says whether they are at their ends.
"""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from onward.errors import InputError
from onward.scale.kafka.client import ANSWER_SECONDS, make_consumer, reason_of, topic_recreated, unreachable
from onward.scale.kafka.health import TopicHealth
from onward.scale.kafka.partition import KafkaPartition

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, TopicPartition

_AT_ONCE, _BYTES = 500, 1 << 20
"""Messages that one call of the client returns, and bytes after which no further call follows."""


class KafkaReader:
    """Reads partitions of a topic.

    Args:
        servers: host:port,host:port.
        topic: name of the topic.
        group: the group of the consumer.
        settings: further settings of the client.
        notify: called with messages for the user.

    Attributes:
        consumer: the client.
        health: whether the broker answers, and what it knows of the topic.

    Raises:
        CorpusError: no broker answers, or there is no such topic.
        InputError: see `make_consumer`.
    """

    def __init__(
        self, servers: str, topic: str, group: str, settings: Mapping[str, str], notify: Callable[[str], None]
    ) -> None:
        self._servers, self._topic, self._notify = servers, topic, notify
        self._partitions: dict[int, KafkaPartition] = {}
        self._has_moved = False  # whether a partition is to be read from another place
        self.health = TopicHealth(servers, topic, settings, notify)
        self.consumer = make_consumer(servers, group, settings, self._note)
        try:
            self.health.begin(self.consumer)
        except InputError:
            self.consumer.close()
            raise

    def first_offset(self, partition: int) -> int:
        """Returns the offset of the first message that the broker still has.

        Raises:
            CorpusError: the broker does not answer.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        try:
            return self.consumer.get_watermark_offsets(self._at(partition), ANSWER_SECONDS)[0]
        except KafkaException as error:
            raise unreachable(self._servers, reason_of(error)) from error

    def assign(self, partitions: Collection[KafkaPartition]) -> None:
        """Begins to fetch the next messages of these partitions, and no others."""
        self._partitions = {partition.number: partition for partition in partitions}
        self._has_moved = False
        for partition in partitions:
            partition.is_at_end = False
        self.consumer.assign([self._at(partition.number, partition.next) for partition in partitions])

    def fetch(self) -> None:
        """Passes messages that have arrived to their partitions.

        Raises:
            CorpusError: the topic was deleted.
            InputError: the topic was deleted and created again, or the broker has lost messages.
        """
        size = 0
        while size < _BYTES and (messages := self.consumer.consume(_AT_ONCE, timeout=0)):
            size += sum(map(self._take, messages))
        has_recovered = self.health.has_recovered(self.consumer, self._partitions)
        if has_recovered or self._has_moved:
            self.assign(self._partitions.values())
        if not self.health.is_available:
            for partition in self._partitions.values():
                partition.is_at_end = False

    def _take(self, message: "Message") -> int:
        """Handles a message, or an event of a partition. Returns the bytes of the message."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

        number, offset, error = message.partition(), message.offset(), message.error()
        partition = self._partitions.get(-1 if number is None else number)
        code = error.code() if error else None
        if error and (
            partition is None or code not in (KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET)
        ):
            self._note(error)
        elif partition and code == KafkaError._PARTITION_EOF:
            partition.reach_end()
        elif partition and code == KafkaError._AUTO_OFFSET_RESET:
            self._find_place(partition)
        elif partition and offset is not None:
            partition.add(message.value(), offset)
            return len(message)
        return 0

    def _note(self, error: "KafkaError") -> None:
        self.health.note(error.str())

    def _find_place(self, partition: KafkaPartition) -> None:
        """Continues a partition whose next message the broker does not have."""
        first, lost = self.first_offset(partition.number), partition.next
        if first < lost:
            raise topic_recreated(self._topic)
        self._notify(
            f"partition {partition.number}: the broker removed {first - lost:,} messages before they were "
            f"read, from offset {lost:,} on: they are lost"
        )
        partition.next = first
        self._has_moved = True

    def _at(self, partition: int, offset: int = -1001) -> "TopicPartition":
        """Returns a place in the client's terms; without an offset, only the partition."""
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        return TopicPartition(self._topic, partition, offset)
