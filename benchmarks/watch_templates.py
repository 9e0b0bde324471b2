"""How often does a raw log line get the right kind, without any option?

    python benchmarks/watch_templates.py DATA

DATA is the folder with logs/ and logs-more/, whose kinds/ has the kind of each line of twelve samples, as
loghub's people labelled them. The header of the lines is found, and templates are mined from the messages.
Grouping accuracy is the share of lines whose group, those with the same template, is exactly the group of one
kind. The miner was chosen on the first seven logs, and confirmed on the other five. Drain's figures are the
published ones, with a format and thresholds given for each log.
"""

import lzma
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from onward.watch.input.detection import SAMPLED_LINES
from onward.watch.input.line_pattern import MESSAGE, LinePattern, find_pattern
from onward.watch.input.lines import decode_line
from onward.watch.input.log_templates import Templates
from record import command_line, record

CHOSEN = ("Apache", "HDFS", "Hadoop", "OpenStack", "Mac", "HealthApp", "Thunderbird")
DRAIN = {
    "Apache": 1.000, "HDFS": 0.998, "Hadoop": 0.948, "OpenStack": 0.733, "Mac": 0.787, "HealthApp": 0.780,
    "Thunderbird": 0.955, "BGL": 0.963, "Spark": 0.920, "HPC": 0.887, "Proxifier": 0.527, "Android": 0.911,
}  # fmt: skip


def read_sample(data: Path, name: str) -> tuple[list[str], list[str]]:
    """Returns the lines of a sample, and the kind of each."""
    plain, packed = data / "logs" / f"{name}_2k.log", data / "logs-more" / f"{name}_2k.log.xz"
    content = plain.read_bytes() if plain.exists() else lzma.decompress(packed.read_bytes())
    kinds = (data / "logs-more" / "kinds" / f"{name}_2k.kinds").read_text().split()
    return [decode_line(line) for line in content.split(b"\n")][: len(kinds)], kinds


def messages(lines: Sequence[str]) -> list[str]:
    """Returns the lines without the header that they share."""
    pattern = find_pattern(lines[:SAMPLED_LINES])
    if pattern is None:
        return list(lines)
    found = map(LinePattern(pattern).fields, lines)
    return [fields[MESSAGE] if fields else line for fields, line in zip(found, lines, strict=True)]


def grouping_accuracy(found: Sequence[Hashable], kinds: Sequence[Hashable]) -> float:
    """Returns the share of lines whose group is exactly the group of one kind."""
    right = set(_groups(kinds))
    return sum(len(group) for group in _groups(found) if group in right) / len(kinds)


def _groups(labels: Iterable[Hashable]) -> list[tuple[int, ...]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        groups[label].append(place)
    return [tuple(group) for group in groups.values()]


def main() -> None:
    """Records one result for each log."""
    data = command_line(__doc__, "data").parse_args().data
    for name, drain in DRAIN.items():
        lines, kinds = read_sample(data, name)
        texts, raw = messages(lines), Templates.mine(lines)
        templates = Templates.mine(texts)
        found = [templates.event(text) for text in texts]
        record(
            "watch_templates",
            {
                "log": name,
                "is_chosen": name in CHOSEN,
                "kinds": len(set(kinds)),
                "templates": len(set(found)),
                "grouping_accuracy": round(grouping_accuracy(found, kinds), 4),
                "grouping_accuracy_with_headers": round(
                    grouping_accuracy([raw.event(line) for line in lines], kinds), 4
                ),
                "grouping_accuracy_of_drain": drain,
            },
        )


if __name__ == "__main__":
    main()
