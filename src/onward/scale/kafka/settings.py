"""Settings of Kafka's client: those that the watch makes, and those in a file of the user."""

from pathlib import Path

from onward.errors import InputError

QUIET = {"log_level": 2}  # the client reports its troubles to `error_cb`; its own lines would repeat them
OWN = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "allow.auto.create.topics": False,
}
"""Settings of the consumer. The place in the topic is in the state of the watch, so the broker's committed
offset must never decide where reading continues."""

_RESERVED = {*OWN, "bootstrap.servers", "group.id", "error_cb"}
SETTINGS_HINT = "see https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md for the names"


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
            raise InputError(f"{path}, line {number}: expected name=value", hint=SETTINGS_HINT)
        if name in _RESERVED:
            raise InputError(f"{path}, line {number}: the watch itself sets {name}", hint="remove this line")
        found[name] = value
    return found
