"""Writes alarms to a topic of Kafka, each at least once, with the numbers by which consumers drop repeats."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onward.errors import WriteError
from onward.scale.address import StreamAddress
from onward.scale.kafka.client import ANSWER_SECONDS, count_partitions, make_producer, reason_of
from onward.watch.stream.store import Notice

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_SECONDS = 60
"""Time that the broker has to take a message."""


class AlarmTopic:
    """A `NoticeSink` (see `watch.stream.delivery`).

    The key of a message names the source, so all notices of a source are in one partition, in order. With the
    number of an alarm, or of an incident that was closed, it identifies the notice.

    Args:
        address: address of the topic.
        settings: further settings of the client.
        source: name of the source of the alarms; the partition of a notice is added to it.

    Raises:
        CorpusError: the broker does not answer, or there is no such topic.
        InputError: see `make_producer`.
    """

    def __init__(self, address: StreamAddress, settings: Mapping[str, str], source: str) -> None:
        self._address, self._source = address, source
        timeout = {"message.timeout.ms": str(1000 * _SECONDS)}
        self._producer = make_producer(address.bootstrap, timeout | dict(settings))
        self._failure = ""
        count_partitions(self._producer, address.bootstrap, address.name, ANSWER_SECONDS)

    def write(self, notices: Sequence[Notice]) -> None:
        """Writes notices, and returns once the broker has them.

        Raises:
            WriteError: it did not take them. The next run writes them again.
        """
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

        self._failure = ""
        try:
            for notice in notices:
                key = self._source if notice.partition is None else f"{self._source}-{notice.partition}"
                self._producer.produce(
                    self._address.name, notice.encode().encode(), key.encode(), on_delivery=self._note
                )
                self._producer.poll(0)
            left = self._producer.flush(_SECONDS + 1)
        except (KafkaException, BufferError) as error:
            left, self._failure = 1, reason_of(error)
        if left or self._failure:
            raise WriteError(
                f"cannot write alarms to {self._address}: {self._failure or 'the broker does not answer'}",
                hint="check that the topic exists and may be written; the next run writes them again",
            )

    def _note(self, error: "KafkaError | None", _: "Message") -> None:
        self._failure = error.str() if error else self._failure
