"""Makes sure that only one watch reads a partition for a group, and that its state is the latest one.

The committed offset of the group does not say where to read: the state of the watch does. It only shows other
programs how far the watch is. But with it, each watch leaves its id. So a second state for the same partition
is found, such as that of another machine, or an old copy. Two watches would raise each alarm twice.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onward.errors import BusyError, InputError
from onward.scale.kafka.client import ANSWER_SECONDS, reason_of, unreachable
from onward.scale.kafka.partition import KafkaPartition

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition


class KafkaClaims:
    """The committed offsets of a group in one topic.

    Args:
        consumer: a consumer of the group.
        servers: its servers, for messages.
        topic: name of the topic.
        group: name of the group.
    """

    def __init__(self, consumer: "Consumer", servers: str, topic: str, group: str) -> None:
        self._consumer, self._servers, self._topic, self._group = consumer, servers, topic, group

    def check(self, partition: int, watch: str, offset: int | None, state: Path | None) -> None:
        """Checks that a state may continue a partition.

        Args:
            partition: number of the partition.
            watch: id of the watch that the state belongs to.
            offset: the place in the state; None: the state is new.
            state: the file of the state, for messages.

        Raises:
            BusyError: another state has this partition.
            CorpusError: the broker does not answer.
            InputError: the state is older than what the group has read.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        try:
            (found,) = self._committed([partition], ANSWER_SECONDS)
        except KafkaException as error:
            raise unreachable(self._servers, reason_of(error)) from error
        if found.offset < 0:
            return
        if (found.metadata and found.metadata != watch) or offset is None:
            raise self._held(partition)
        if offset < found.offset:
            raise InputError(
                f"{state} is at offset {offset:,} of partition {partition}, but the group {self._group} has "
                f"read up to {found.offset:,}: it is an older copy of the state",
                hint="use the newest state of this partition; or name another --group and another --state",
            )

    def claim(self, partitions: Collection[KafkaPartition]) -> None:
        """Writes the offsets and ids of watches whose states were just committed for the first time.

        Raises:
            InputError: the broker refuses them, because another program is a member of the group.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        try:
            self._consumer.commit(offsets=self._offsets(partitions), asynchronous=False)
        except KafkaException as error:
            raise InputError(
                f"the broker refuses the offsets of the group {self._group}: {reason_of(error)}",
                hint="if another program uses this group, name another one with --group",
            ) from error

    def renew(self, partitions: Sequence[KafkaPartition]) -> None:
        """Writes the present offsets, if the broker answers.

        Raises:
            BusyError: another watch has claimed a partition since.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        try:
            found = self._committed([partition.number for partition in partitions], 1.0)
            for partition, known in zip(partitions, found, strict=True):
                if known.metadata and known.metadata != partition.watch:
                    raise self._held(partition.number)
            self._consumer.commit(offsets=self._offsets(partitions), asynchronous=True)
        except KafkaException:  # the offsets are only information: the next ones make up for them
            return

    def _committed(self, partitions: Sequence[int], seconds: float) -> "list[TopicPartition]":
        from confluent_kafka import KafkaException, TopicPartition  # noqa: PLC0415 - an extra

        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        found = self._consumer.committed(asked, timeout=seconds)
        for each in found:
            if each.error:
                raise KafkaException(each.error)
        return found

    def _offsets(self, partitions: Collection[KafkaPartition]) -> "list[TopicPartition]":
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra

        return [
            TopicPartition(self._topic, partition.number, partition.committed, partition.watch)
            for partition in partitions
        ]

    def _held(self, partition: int) -> BusyError:
        return BusyError(
            f"another watch of the group {self._group} reads partition {partition} of {self._topic}, "
            "with another state",
            hint="only the state that began a partition can continue it: give its folder with --state, "
            "divide the partitions with --partitions, or name another --group",
        )
