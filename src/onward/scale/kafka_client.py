"""Clients of Kafka's protocol: their settings, and the errors of a user who has the wrong ones."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onward.errors import CorpusError, InputError

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

_QUIET = {"log_level": 2}  # the client reports its troubles to `error_cb`; its own lines would repeat them
_OWN = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
}
"""Settings of the consumer. The place in the topic is in the state of the watch, so the broker's committed
offset must never decide where reading continues."""

_RESERVED = {*_OWN, "bootstrap.servers", "group.id", "error_cb"}
_ID_SECONDS = 2.0
_HINT = "see https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md for the names"


def read_settings(path: Path) -> dict[str, str]:
    """Returns the settings of a file with lines like `security.protocol=SSL`. Lines with # are comments.

    Raises:
        InputError: the file cannot be read, or has other lines, or settings that the watch itself makes.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"cannot read {path}: {reason}", hint="name a text file") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, separator, value = (part.strip() for part in line.partition("="))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not separator or not name:
            raise InputError(f"{path}, line {number}: expected name=value", hint=_HINT)
        if name in _RESERVED:
            raise InputError(f"{path}, line {number}: the watch itself sets {name}", hint="remove this line")
        found[name] = value
    return found


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

        return Consumer({**_QUIET, **settings, **_OWN, **own})


def make_producer(servers: str, settings: Mapping[str, str]) -> "Producer":
    """Returns a producer whose own retries repeat no message.

    Raises:
        InputError: as `make_consumer`.
    """
    own = {"bootstrap.servers": servers, "enable.idempotence": True, "error_cb": lambda _: None}
    with _explained_errors():
        from confluent_kafka import Producer  # noqa: PLC0415 - an extra

        return Producer({**_QUIET, **settings, **own})


def topic_id(servers: str, settings: Mapping[str, str], topic: str) -> str:
    """Returns the id of a topic, which changes if it is deleted and made again; "" if the broker has none."""
    from confluent_kafka import KafkaException, TopicCollection  # noqa: PLC0415 - an extra
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - an extra

    own: Any = {"bootstrap.servers": servers, "error_cb": lambda _: None}
    admin = AdminClient({**_QUIET, **settings, **own})
    with suppress(KafkaException, TimeoutError):
        asked = admin.describe_topics(TopicCollection([topic]), request_timeout=_ID_SECONDS)
        found = str(asked[topic].result(_ID_SECONDS + 1).topic_id)
        return "" if set(found) == {"A"} else found  # base64 of zeros: this broker has no ids
    return ""


def reason_of(error: Exception) -> str:
    """Returns what an exception of the client says, without the decoration of its class."""
    from confluent_kafka import KafkaError  # noqa: PLC0415 - an extra

    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)


@contextmanager
def _explained_errors() -> Iterator[None]:
    """Turns the errors of a client that is made in the block into InputError."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            "Kafka needs the package confluent-kafka, which is not installed",
            hint="pip install 'onward[kafka]'",
        ) from error
    except Exception as error:
        raise InputError(f"a setting of the Kafka client is wrong: {reason_of(error)}", hint=_HINT) from error


def unreachable(servers: str, reason: str) -> CorpusError:
    """Returns the error for servers that do not answer."""
    return CorpusError(
        f"cannot reach a Kafka broker at {servers}: {reason}",
        hint="check the address, and that the broker runs; --kafka-config names a file with the settings of "
        "the client, such as security.protocol",
    )


def made_anew(topic: str) -> InputError:
    """Returns the error for a topic that is not the one that a state belongs to."""
    return InputError(
        f"the topic {topic} was deleted and made anew since the state was written, or the broker has lost "
        "messages that were read",
        hint="to read the topic as it is now, name another --state and another --group",
    )
