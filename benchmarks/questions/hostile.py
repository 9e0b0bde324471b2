"""The questions about hostile input."""

from questions.question import Question, Rows, Run


def file_rows(runs: list[Run]) -> Rows:
    for run in runs:
        outcomes = run["outcomes"]
        others = run["files"] - outcomes.get("loaded", 0) - outcomes.get("refused", 0)
        yield ["changed files", f"{run['files']:,}"]
        yield ["refused with a clear error", f"{outcomes['refused']:,}"]
        yield ["loaded, all results finite", f"{outcomes['loaded']:,}"]
        yield ["another error, a crash, a hang", f"{others}"]
        yield ["memory growth", f"{run['megabytes_grown']:.0f} MB"]


FILES = Question(
    "hostile_files",
    "What do damaged and hostile models and detectors cause?",
    ["", ""],
    file_rows,
)


def attack_rows(runs: list[Run]) -> Rows:
    for run in runs:
        answers = run.get("answers", {})
        yield [
            run["attack"],
            ", ".join(f"{count} of status {status}" for status, count in sorted(answers.items())),
            f"{run['answer_megabytes']:.0f}" if run.get("answer_megabytes") is not None else "",
            f"{run['megabytes_peak_growth']:.0f}",
            f"{run['seconds']:.1f}",
            f"{run['key_milliseconds_before']['p99']:.0f}",
            f"{run['key_milliseconds_during']['p99']:.0f}" if run["keys_during"] else "",
        ]


ATTACKS = Question(
    "serve_attacks",
    "How long do other clients wait while one client attacks the server?",
    ["attack", "answers", "largest answer, MB", "memory growth, MB", "seconds", "p99 before", "p99 during"],
    attack_rows,
    kind=("attack",),
    note="p99 is the 99th percentile of the time from a typist's key to its answer, in milliseconds. Status "
    "413 means that a request asks for too much work, 429 that a limit is reached. The docstrings in the "
    "program describe the attacks. The last column is empty if the attack was refused before the next key.",
)

QUESTIONS = [FILES, ATTACKS]
