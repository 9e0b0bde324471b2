"""How well does a detector that was trained on normal HDFS blocks find anomalous ones?

    python benchmarks/watch_hdfs.py DATA [--seed N]

DATA is the folder with hdfs_train.gz. The rates are fixed here, and the threshold comes from training
sequences alone. The normal test blocks are a sample of 553,366; precision is scaled to all of them.
"""

import time

from onward.watch.datasets import load_normal, load_sequences
from onward.watch.evaluation.evaluate import evaluate
from onward.watch.input.format import InputFormat
from onward.watch.training import LearnSettings, learn_detector
from record import command_line, record

RATES = (0.01, 0.005, 0.001)
NORMAL_IN_ALL = 553_366


def main() -> None:
    parser = command_line(__doc__, "data")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    loaded = load_normal([arguments.data / "hdfs_train.gz"], InputFormat())
    started = time.perf_counter()
    detector = learn_detector(loaded.events, LearnSettings(seed=arguments.seed), source=loaded.source)
    learned = time.perf_counter() - started
    normal = load_sequences(detector, [arguments.data / "hdfs_test_normal_sample.gz"]).events
    wrong = load_sequences(detector, [arguments.data / "hdfs_test_abnormal.gz"]).events
    started = time.perf_counter()
    detector.judge([*wrong, *normal], repeats=False, explain=False)
    each = time.perf_counter() - started
    for rate in RATES:
        found = evaluate(detector.with_rate(rate), normal, {"anomalous": wrong}, normal_in_all=NORMAL_IN_ALL)
        record(
            "watch_hdfs",
            found.to_json()
            | {
                "seed": arguments.seed,
                "seconds_to_learn": round(learned, 1),
                "seconds_without_repeats": round(each, 2),
                "events_per_second": round(found.events / each),
            },
        )


if __name__ == "__main__":
    main()
