"""The causes of alarms: what alarms of one incident have in common, as short texts.

    first seen: EVENT             the sequence has an event that the detector has never seen
    too many: EVENT               the event count that differs most from the nearest normal sequence
    too few: EVENT
    unexpected: EVENT             the most surprising event of the sequence; <end>: it ended too early
    unusual: FEATURE              no single event is known

If events are bytes, one byte says little: the words of the line without digits name its kind.
"""

from collections.abc import Sequence

from onward.data.vocabulary import UNKNOWN
from onward.watch.input.masks import MASK, mask_line
from onward.watch.scoring.event_vocabulary import EventVocabulary
from onward.watch.scoring.features import CountDifference

_FIRST_SEEN = "first seen: "


def first_seen(event: str, vocabulary: EventVocabulary) -> str | None:
    """Returns the cause of an event that a detector has never seen; None if the vocabulary has the event.

    Args:
        event: name of the event.
        vocabulary: the events that the detector knows.
    """
    return _FIRST_SEEN + event if vocabulary.id(event) == UNKNOWN else None


def is_first_seen(cause: str) -> bool:
    """Whether the cause is an event that the detector has never seen. It is reported once."""
    return cause.startswith(_FIRST_SEEN)


def cause_of(
    worst: str | None,
    line: str,
    vocabulary: EventVocabulary,
    main_feature: str,
    counts: Sequence[CountDifference] = (),
) -> str:
    """Returns the cause of an alarm about a sequence whose events are all known.

    Args:
        worst: the most surprising event; None: it is not known.
        line: the most surprising line.
        vocabulary: the events that the detector knows.
        main_feature: the feature that adds most to the score.
        counts: the events whose numbers differ most from the nearest normal sequence.
    """
    if vocabulary.is_bytes:
        return f"unexpected: {_kind_of(line)}"
    if main_feature == "counts" and counts:
        most = max(counts, key=lambda count: abs(count.found - count.normal))
        return f"too {'many' if most.found > most.normal else 'few'}: {most.event}"
    return f"unusual: {main_feature}" if worst is None else f"unexpected: {worst}"


def _kind_of(line: str) -> str:
    """Returns the words of a line, with a mask for each word that has a variable part."""
    return " ".join(MASK if MASK in word else word for word in mask_line(line).split())
