"""Clients of Kafka's protocol, and the errors that say what is wrong with a broker or a setting."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from onward.errors import CorpusError, InputError
from onward.scale.kafka.settings import OWN, QUIET, SETTINGS_HINT

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

ANSWER_SECONDS = 10.0
"""Time for an answer of the broker before the watch begins."""

_ID_SECONDS = 2.0


def make_consumer(
    servers: str, group: str, settings: Mapping[str, str], on_error: Callable[["KafkaError"], None]
) -> "Consumer":
    """Returns a consumer. It connects in the background.

    Raises:
        InputError: the package confluent-kafka is missing, or a setting is wrong.
    """
    own = {"bootstrap.servers": servers, "group.id": group, "error_cb": on_error}
    with _explained_errors():
        from confluent_kafka import Consumer  # noqa: PLC0415 - an extra

        return Consumer({**QUIET, **settings, **OWN, **own})


def make_producer(servers: str, settings: Mapping[str, str]) -> "Producer":
    """Returns a producer whose own retries repeat no message.

    Raises:
        InputError: as `make_consumer`.
    """
    own = {"bootstrap.servers": servers, "enable.idempotence": True, "error_cb": lambda _: None}
    own |= {"allow.auto.create.topics": False}
    with _explained_errors():
        from confluent_kafka import Producer  # noqa: PLC0415 - an extra

        return Producer({**QUIET, **settings, **own})


def topic_id(servers: str, settings: Mapping[str, str], topic: str) -> str:
    """Returns the id of a topic, which changes if it is deleted and made again; "" if the broker has none."""
    from confluent_kafka import KafkaException, TopicCollection  # noqa: PLC0415 - an extra
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

    own: Any = {"bootstrap.servers": servers, "error_cb": lambda _: None}
    admin = AdminClient({**QUIET, **settings, **own})
    with suppress(KafkaException, TimeoutError):
        asked = admin.describe_topics(TopicCollection([topic]), request_timeout=_ID_SECONDS)
        found = str(asked[topic].result(_ID_SECONDS + 1).topic_id)
        return "" if set(found) == {"A"} else found  # base64 of zeros: this broker has no ids
    return ""


def count_partitions(client: "Consumer | Producer", servers: str, topic: str, seconds: float) -> int:
    """Returns the number of partitions of a topic.

    Raises:
        CorpusError: the broker does not answer within this time, or there is no such topic.
    """
    from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra

    try:
        found = client.list_topics(topic, timeout=seconds).topics[topic]
    except KafkaException as error:
        raise unreachable(servers, reason_of(error)) from error
    if not found.partitions:
        reason = f": {found.error.str()}" if found.error else ""
        hint = "check the name and the rights of the user, or create the topic first"
        raise CorpusError(f"there is no topic {topic} at {servers}{reason}", hint=hint)
    return len(found.partitions)


def reason_of(error: Exception) -> str:
    """Returns what an exception of the client says, without the decoration of its class."""
    from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)


@contextmanager
def _explained_errors() -> Iterator[None]:
    """Turns the errors of a client that is made in the block into InputError."""
    try:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            "Kafka needs the package confluent-kafka, which is not installed",
            hint="pip install '.[kafka]'",
        ) from error
    try:
        yield
    except (KafkaException, TypeError, ValueError) as error:
        raise InputError(
            f"a setting of the Kafka client is wrong: {reason_of(error)}", hint=SETTINGS_HINT
        ) from error


def unreachable(servers: str, reason: str) -> CorpusError:
    """Returns the error for servers that do not answer."""
    return CorpusError(
        f"cannot reach a Kafka broker at {servers}: {reason}",
        hint="check the address, and that the broker runs; --kafka-config names a file with the settings of "
        "the client, such as security.protocol",
    )


def topic_recreated(topic: str) -> InputError:
    """Returns the error for a topic that is not the one that a state belongs to."""
    return InputError(
        f"the topic {topic} was deleted and created again since the state was written, or the broker has "
        "lost messages that were read",
        hint="to read the topic as it is now, name another --state and another --group",
    )
