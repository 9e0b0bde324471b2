"""How many events a second are scored, with what is the same in several sequences read once, and without?

    python benchmarks/score_events.py

The blocks of HDFS that DeepLog is tested on (shared/data/hdfs: all abnormal ones, and the sample of normal
ones), each with its end as one more event; a model 64 wide of two layers, with random weights, on which the
speed does not depend. Both ways take turns; the medians count.
"""

import argparse
import gzip
import statistics
import time

import numpy as np
import torch

from onward.data.vocabulary import SPECIAL, Vocabulary
from onward.inference.sequences import SequenceScores, score_sequences
from onward.model import LanguageModel
from onward.training.recipe import find_recipe
from record import record
from text_budget import DATA

SETS = {
    "normal": ["hdfs_test_normal_sample.gz"],
    "abnormal": ["hdfs_test_abnormal.gz"],
    "all": ["hdfs_test_normal_sample.gz", "hdfs_test_abnormal.gz"],
}
TYPES = 30
TURNS = 7


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=SETS, default="all")
    chosen = parser.parse_args().set
    sequences = [row for name in SETS[chosen] for row in blocks(name)]
    vocabulary = Vocabulary("characters", map(chr, range(65, 65 + TYPES)))
    torch.manual_seed(0)
    model = LanguageModel(find_recipe("tiny").model_config(len(vocabulary))).eval()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    scores: dict[bool, SequenceScores] = {}
    for turn in range(TURNS + 1):
        for once, taken in seconds.items():
            started = time.perf_counter()
            scores[once] = score_sequences(model, vocabulary, sequences, once=once)
            if turn:
                taken.append(time.perf_counter() - started)
    events = sum(len(sequence) + 1 for sequence in sequences)
    once, each = (statistics.median(seconds[way]) for way in (True, False))
    record(
        "score_events",
        {
            "set": chosen,
            "parameters": model.parameter_count(),
            "sequences": len(sequences),
            "distinct": len({sequence.tobytes() for sequence in sequences}),
            "events": events,
            "events_per_second": {"once": round(events / once), "each": round(events / each)},
            "largest_difference_of_a_sequence": float(abs(scores[True].nats - scores[False].nats).max()),
        },
    )


def blocks(name: str) -> list[np.ndarray]:
    """The sequences of a file, as ids."""
    with gzip.open(DATA / "hdfs" / name, "rt") as lines:
        return [np.array(line.split(), np.uint8) + np.uint8(len(SPECIAL) - 1) for line in lines]


if __name__ == "__main__":
    main()
