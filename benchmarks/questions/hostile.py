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

QUESTIONS = [FILES]
