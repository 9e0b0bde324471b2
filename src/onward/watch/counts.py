"""What a watch has counted."""

from dataclasses import dataclass, fields


@dataclass
class Counts:
    """What was watched.

    Attributes:
        records: read.
        sequences: that ended and were judged.
        flagged: of these, and of those in flight.
        flagged_ended: of those that ended.
        unparsable: lines that are no record.
    """

    records: int = 0
    sequences: int = 0
    flagged: int = 0
    flagged_ended: int = 0
    unparsable: int = 0

    def to_json(self) -> dict[str, int]:
        """The counts by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
