"""Options of `onward watch run` for streams: topics of Kafka, and streams of Redis."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onward.cli.output import say
from onward.errors import InputError

if TYPE_CHECKING:
    from onward.cli.watched import SourceWatch, WatchOptions
    from onward.scale.kafka.alarms import AlarmTopic

GroupOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Streams: name of this watch for other programs. Two watches of one stream need two names.",
    ),
]
PartitionsOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,N-N", help="Topics: the partitions that this process watches, such as 0-3,7. Default: all."
    ),
]
KafkaConfig = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Settings of the Kafka client, one name=value per line, such as security.protocol.",
    ),
]
AlarmsTopic = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Write each alarm, and each incident that is closed, to this topic at least once, such as "
        "kafka://localhost:9092/alarms.",
    ),
]


def settings_of(config: Path | None) -> Mapping[str, str]:
    """Returns the settings in a file for the Kafka client.

    Raises:
        InputError: see `read_settings`.
    """
    from onward.scale.kafka.settings import read_settings  # noqa: PLC0415

    return read_settings(config) if config else {}


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """The options that only streams have.

    Attributes:
        group: `--group`.
        partitions: `--partitions`.
        settings: the settings in the file of `--kafka-config`.
    """

    group: str | None
    partitions: str | None
    settings: Mapping[str, str]

    def refuse_for(self, source: str) -> None:
        """Refuses options that were given although the source is no stream.

        Raises:
            InputError: one was given.
        """
        for name, value in (("--group", self.group), ("--partitions", self.partitions)):
            if value is not None:
                raise InputError(
                    f"{name} is only for streams, and {source} is none",
                    hint="leave it out; the address of a topic is kafka://HOST/TOPIC",
                )


def alarm_topic(address: str | None, settings: Mapping[str, str], source: str) -> "AlarmTopic | None":
    """Returns the topic of `--alarms-topic`.

    Args:
        address: the address of the topic; None: the option was not given.
        settings: settings of the Kafka client.
        source: the source of the alarms, which they are marked with.

    Raises:
        InputError: the address is wrong, or it is the source.
    """
    from onward.scale.address import is_stream, parse_address  # noqa: PLC0415
    from onward.scale.kafka.alarms import AlarmTopic  # noqa: PLC0415

    if address is None:
        return None
    topic = parse_address(address)
    if topic.scheme != "kafka":
        hint = "write it as kafka://localhost:9092/TOPIC"
        raise InputError(f"expected a topic of Kafka for the alarms, got {address}", hint=hint)
    if is_stream(source) and parse_address(source) == topic:
        raise InputError(
            f"the alarms would be written to the topic that is watched: {address}",
            hint="name another topic with --alarms-topic",
        )
    return AlarmTopic(topic, settings, parse_address(source).name if is_stream(source) else source)


def watch_stream(
    source: str,
    stream: StreamOptions,
    options: "WatchOptions",
    stack: ExitStack,
    *,
    follow: bool,
    state: Path | None,
    alarms: Path | None,
) -> "tuple[list[SourceWatch], Callable[[], None]]":
    """Opens the partitions of a stream.

    Args:
        source: the address of the stream.
        stream: options of the stream.
        options: options of each watch.
        stack: closes all that is opened.
        follow: whether to wait for more messages.
        state: the folder of the states.
        alarms: the file whose name gets the number of each partition; None: no files.

    Returns:
        A watch for each partition, and what is to be called between their turns.

    Raises:
        OnwardError: a partition cannot be opened.
    """
    from onward.cli.watched import SourceWatch  # noqa: PLC0415 - torch, which `--help` does without
    from onward.scale.address import parse_address  # noqa: PLC0415
    from onward.scale.streams.partitions import alarms_path, make_folder, parse_partitions, state_path  # noqa: PLC0415
    from onward.scale.streams.shared_keys import SharedKeys  # noqa: PLC0415
    from onward.scale.streams.stream import opened_stream  # noqa: PLC0415
    from onward.watch.datasets import format_of  # noqa: PLC0415

    address, form = parse_address(source), format_of(options.detector)
    if state is None:
        raise InputError(
            f"expected a folder for the state of {source}, got none",
            hint="name one with --state: it holds the place in each partition",
        )
    if address.scheme == "redis" and stream.partitions is not None:
        raise InputError(
            "--partitions is only for topics of Kafka, and a stream of Redis has one partition",
            hint="leave it out",
        )
    make_folder(state)
    notify = partial(say, style="yellow")
    opened = stack.enter_context(
        opened_stream(address, stream.group, form, stream.settings, follows=follow, notify=notify)
    )
    states = {number: state_path(state, address.name, number) for number in range(opened.count)}
    numbers = parse_partitions(stream.partitions, opened.count)
    options = replace(options, in_memory=max(1, options.in_memory // len(numbers)))
    watches = {
        number: SourceWatch(
            options,
            partial(opened.open, number),
            stack,
            state=states[number],
            alarms=alarms and alarms_path(alarms, number),
            partition=number,
            partitions=opened.count,
        )
        for number in numbers
    }
    is_keyed = form.key is not None or form.key_regex is not None
    stores = {number: watch.store for number, watch in watches.items()} if is_keyed else {}
    keys = SharedKeys(stores, states, address.name, notify)

    def between() -> None:
        if all(watch.runner.ended for watch in watches.values()):
            keys.check_all_pairs()
        else:
            keys.check_next_pair()

    return list(watches.values()), between
