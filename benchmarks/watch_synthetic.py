"""Does a detector with default settings find attacks in long system-call traces as well as an n-gram?

    python benchmarks/watch_synthetic.py [--seed 0] [--learned 400] [--normal 300] [--anomalous 150]

The traces are synthetic (see synthetic_traces.py): hundreds to thousands of calls, about 180 distinct ones.
The baselines are those of `judge`, and an n-gram of order 10 with Witten-Bell backoff: the mean of its
bits, and the largest. The features for long sequences were chosen with seed 0; every other seed is another
system.
"""

import time

from onward.watch.calibration.statistics import auc_with_interval
from onward.watch.evaluation.evaluate import evaluate
from onward.watch.scoring.ngram import NgramModel
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record
from synthetic_traces import System

RATE, ORDER = 0.01, 10


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learned", type=int, default=400)
    parser.add_argument("--normal", type=int, default=300)
    parser.add_argument("--anomalous", type=int, default=150, help="sequences of each class")
    parser.add_argument("--steps", type=int, help="training steps, in place of the default")
    parser.add_argument("--folds", type=int, default=5)
    asked = parser.parse_args()
    system = System(asked.seed)
    learned, normal = system.normal(asked.learned, 0), system.normal(asked.normal, 1)
    wrong = system.attacks(asked.anomalous, 0)
    started = time.perf_counter()
    detector = learn_detector(learned, LearnSettings(rate=RATE, steps=asked.steps, folds=asked.folds))
    seconds = time.perf_counter() - started
    found = evaluate(detector, normal, wrong).to_json()
    vocabulary = detector.vocabulary
    ngrams = NgramModel.of(vocabulary.encode(learned), vocabulary.size, order=ORDER, most=None)
    every = [trace for traces in wrong.values() for trace in traces]
    parts = (ngrams.largest_and_mean(vocabulary.encode(part)) for part in (normal, every))
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
            "distinct_events": len(vocabulary.names),
            "steps": detector.artefact.facts["steps"],
            "seconds_to_learn": round(seconds, 1),
            **{name: found[name] for name in kept},
            "recall_by_class": {name: round(part["recall"], 3) for name, part in found["classes"].items()},
            "auc_of_baselines": others,
        },
    )


if __name__ == "__main__":
    main()
