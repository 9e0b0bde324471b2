"""Checks whether the broker answers, and whether the topic was deleted or created again."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from onward.errors import CorpusError
from onward.scale.kafka.client import (
    ANSWER_SECONDS,
    count_partitions,
    reason_of,
    topic_id,
    topic_recreated,
    unreachable,
)

if TYPE_CHECKING:
    from confluent_kafka import Consumer

LOOK_SECONDS, RETRY_SECONDS = 30.0, 1.0
"""Time between two looks at the topic, and between two attempts to reach it."""

UNKNOWN_SECONDS = 10.0
"""Time for which the broker must not know the topic: a broker that has just started may not know it yet."""


class TopicHealth:
    """The health of a topic.

    Args:
        servers: host:port,host:port.
        topic: name of the topic.
        settings: further settings of the client.
        notify: called with messages for the user.

    Attributes:
        count: number of partitions.
        id: id of the topic; "" if the broker has none.
        is_available: whether the broker answered when it was last asked, and knew the topic.
    """

    def __init__(
        self, servers: str, topic: str, settings: Mapping[str, str], notify: Callable[[str], None]
    ) -> None:
        self._servers, self._topic, self._settings, self._notify = servers, topic, settings, notify
        self._problem = ""  # what the client has reported since the last look
        self._looked = 0.0
        self._unknown_since: float | None = None
        self._is_told = False  # whether the user knows that the topic cannot be read
        self.count, self.id, self.is_available = 0, "", True

    def begin(self, consumer: "Consumer") -> None:
        """Looks for the first time.

        Raises:
            CorpusError: no broker answers, or there is no such topic.
        """
        try:
            self.count = count_partitions(consumer, self._servers, self._topic, ANSWER_SECONDS)
        except CorpusError as error:  # the client may know more, such as that it may not log in
            if not self._problem:
                raise
            raise unreachable(self._servers, self._problem) from error
        self.id, self._looked = topic_id(self._servers, self._settings, self._topic), time.monotonic()

    def note(self, problem: str) -> None:
        """Notes what the client has reported. Most troubles pass, so the next look says what is true."""
        self._problem = problem

    def has_recovered(self, consumer: "Consumer", partitions: Collection[int]) -> bool:
        """Looks if it is time, and returns whether the topic is well again.

        Args:
            consumer: the client.
            partitions: the partitions that are read.

        Raises:
            CorpusError: the topic was deleted.
            InputError: the topic was deleted and created again.
        """
        if time.monotonic() - self._looked < (RETRY_SECONDS if self._problem else LOOK_SECONDS):
            return False
        count, reason = self._look(consumer, partitions, RETRY_SECONDS)
        self._tell(reason)
        self._problem = reason or ("" if count else f"the broker does not know {self._topic}")
        was_well, self.is_available = self.is_available, not self._problem
        self._check_deleted(is_unknown=not count and not reason)
        if not self.is_available:
            return False
        if count != self.count:
            self._notify(
                f"{self._topic} now has {count} partitions, not {self.count}: its keys may move to others. "
                "Start the watch again to read all of them"
            )
            self.count = count
        if not was_well and self.id:
            now = topic_id(self._servers, self._settings, self._topic)
            if now not in ("", self.id):
                raise topic_recreated(self._topic)
        return not was_well

    def _look(self, consumer: "Consumer", ours: Collection[int], seconds: float) -> tuple[int, str]:
        """Returns the number of partitions, 0 if the topic is unknown, and why it cannot be read, or ""."""
        from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - an extra

        self._looked = time.monotonic()
        try:
            found = consumer.list_topics(self._topic, timeout=seconds).topics[self._topic]
        except KafkaException as error:
            return 0, reason_of(error)
        if found.error and found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            return 0, found.error.str()
        known = found.partitions
        leaderless = [number for number in ours if number in known and known[number].leader < 0]
        return len(known), f"partition {leaderless[0]} has no leader" if leaderless else ""

    def _tell(self, reason: str) -> None:
        """Tells the user that the topic cannot be read, and that it can be read again."""
        if reason and not self._is_told:
            self._notify(f"cannot read {self._topic} at {self._servers}: {reason}; trying again")
        elif self._is_told and not reason:
            self._notify(f"{self._topic} at {self._servers} can be read again")
        self._is_told = bool(reason)

    def _check_deleted(self, *, is_unknown: bool) -> None:
        now = time.monotonic()
        self._unknown_since = (self._unknown_since or now) if is_unknown else None
        if self._unknown_since and now - self._unknown_since >= UNKNOWN_SECONDS:
            raise CorpusError(
                f"the topic {self._topic} was deleted; all that was read of it is in the state",
                hint="to watch a new topic of this name, name another --state and another --group",
            )
