"""Does a detector with default settings find attacks in long system-call traces as well as an n-gram?

    python benchmarks/watch_synthetic.py [--seed 0] [--learned 400] [--normal 300] [--anomalous 150]

The traces are synthetic (see synthetic_traces.py): hundreds to thousands of calls, about 180 distinct ones.
The baselines are those of `judge`, and an n-gram of order 10 with Witten-Bell backoff: the mean of its
bits, and the largest. The features for long sequences were chosen with seed 0; every other seed is another
system.
"""

import time

import numpy as np

from onward.data.sequences import Sequences
from onward.data.vocabulary import BEGIN, END
from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.evaluation.evaluate import evaluate
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record
from synthetic_traces import System

RATE, ORDER = 0.01, 10
_ODD, _MIXED = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


class LongGrams:
    """An n-gram of any order over 64-bit hashes; `watch.scoring.ngram` keeps the runs themselves."""

    def __init__(self, sequences: Sequences, symbols: int) -> None:
        self._symbols, self._tables = symbols, []
        for contexts, runs in _hashes(sequences):
            known, first, counts = np.unique(runs, return_index=True, return_counts=True)
            before, place, kinds = np.unique(contexts[first], return_inverse=True, return_counts=True)
            occurred = np.bincount(place, weights=counts)
            self._tables.append(((known, counts), (before, occurred, kinds)))

    def largest_and_mean(self, sequences: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Returns the largest and the mean bits of each sequence, END included, (n,)."""
        shares = np.full(len(sequences.ids) + len(sequences), 1.0 / self._symbols)
        for (contexts, runs), (own, before) in zip(_hashes(sequences), self._tables, strict=True):
            (known, counts), (ahead, occurred, kinds) = own, before
            place, at = (
                np.minimum(np.searchsorted(table, asked), len(table) - 1)
                for table, asked in ((ahead, contexts), (known, runs))
            )
            count = np.where(known[at] == runs, counts[at], 0)
            after = (count + kinds[place] * shares) / (occurred[place] + kinds[place])
            shares = np.where(ahead[place] == contexts, after, shares)
        bits, starts = -np.log2(shares), sequences.starts[:-1] + np.arange(len(sequences))
        return np.maximum.reduceat(bits, starts), np.add.reduceat(bits, starts) / (sequences.lengths + 1)


def _hashes(sequences: Sequences) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hashes the 0 to ORDER - 1 symbols before each event and END, with and without it, (N + n,)."""
    y = np.insert(sequences.ids, sequences.starts[1:], END).astype(np.uint64)
    begins = np.zeros(len(y), bool)
    begins[sequences.starts[:-1] + np.arange(len(sequences))] = True
    contexts, before, started, found = np.zeros(len(y), np.uint64), y, begins, []
    for length in range(ORDER):
        found.append((contexts, _hashed(contexts * _ODD + y + np.uint64(1))))
        before = np.where(started, np.uint64(BEGIN), np.append(np.uint64(BEGIN), before[:-1]))
        started = begins | np.append(True, started[:-1])
        contexts = _hashed(contexts * _ODD + before + np.uint64(7 + length))
    return found


def _hashed(values: np.ndarray) -> np.ndarray:
    mixed = (values ^ (values >> np.uint64(31))) * _MIXED
    return mixed ^ (mixed >> np.uint64(29))


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learned", type=int, default=400)
    parser.add_argument("--normal", type=int, default=300)
    parser.add_argument("--anomalous", type=int, default=150, help="anomalous traces of each class")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--folds", type=int, default=5)
    asked = parser.parse_args()
    system = System(asked.seed)
    learned, normal = system.normal(asked.learned, 0), system.normal(asked.normal, 1)
    wrong = system.attacks(asked.anomalous, 0)
    started = time.perf_counter()
    detector = learn_detector(learned, LearnSettings(rate=RATE, steps=asked.steps, folds=asked.folds))
    seconds = time.perf_counter() - started
    found = evaluate(detector, normal, wrong).to_json()
    alphabet = detector.alphabet
    grams = LongGrams(alphabet.encode(learned), alphabet.size)
    every = [trace for traces in wrong.values() for trace in traces]
    parts = (grams.largest_and_mean(alphabet.encode(part)) for part in (normal, every))
    others = {name: figures["auc"] for name, figures in found["baselines"].items()}
    for name, right, odd in zip(("10gram_largest", "10gram_mean"), *parts, strict=True):
        others[name] = auc_with_interval(right, odd)[0]
    kept = ("auc", "auc_interval", "precision", "recall", "f1", "false_alarm_rate", "false_alarm_interval")
    record(
        "watch_synthetic",
        {
            "seed": asked.seed,
            "learned": len(learned),
            "events_learned": sum(map(len, learned)),
            "distinct_events": len(alphabet.names),
            "steps": detector.artefact.facts["steps"],
            "seconds_to_learn": round(seconds, 1),
            **{name: found[name] for name in kept},
            "recall_by_class": {name: round(part["recall"], 3) for name, part in found["classes"].items()},
            "auc_of_baselines": others,
        },
    )


if __name__ == "__main__":
    main()
