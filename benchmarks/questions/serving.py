"""The questions about serving."""

from questions.question import Question, Rows, Run


def typing_rows(runs: list[Run]) -> Rows:
    for run in runs:
        each = f"{run['sessions']} sessions, {run['keys_per_second']} keys a second each"
        for text, name in (("one session", "alone_milliseconds"), (each, "together_milliseconds")):
            yield [text, *(f"{run[name][part]:.1f}" for part in ("p50", "p95", "p99"))]


TYPING = Question(
    "serve_typing",
    "How long does the server take to answer a keystroke?",
    ["", "p50, ms", "p95, ms", "p99, ms"],
    typing_rows,
    kind=("sessions", "keys_per_second"),
)


def streaming_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield ["1", f"{run['one_symbols_per_second']:,}"]
        yield [f"{run['streams']}", f"{run['all_symbols_per_second']:,}"]


STREAMS = Question(
    "serve_streams",
    "How fast are many streamed completions?",
    ["streams", "symbols a second in total"],
    streaming_rows,
    kind=("streams",),
)


def fault_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['requests']:,} malformed requests: crashes, server errors",
            f"{int(run['crashed'])}, {run['server_errors']}",
        ]
        yield ["memory growth during these requests", f"{run['megabytes_grown']:.0f} MB"]
        yield [
            f"{run['sessions']} typing sessions after a SIGKILL: lost or changed",
            f"{run['sessions_lost_or_other']}",
        ]


FAULTS = Question(
    "serve_faults",
    "Does the server survive malformed requests and kills?",
    ["", ""],
    fault_rows,
    kind=("requests",),
)


def harness_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['likelihoods']} likelihoods",
            f"at most {run['furthest_from_the_model_nats']:.0e} nats apart",
        ]
        yield [f"{run['texts']} texts", f"{run['texts_as_the_model_writes_them']} equal"]


HARNESS = Question(
    "lm_evaluation",
    "Does lm-evaluation-harness get the same results from the server as from the model?",
    ["", "server and model"],
    harness_rows,
)


def editor_rows(runs: list[Run]) -> Rows:
    for run in runs:
        times = run["milliseconds"]
        yield ["from a key to the answer", f"{times['p50']:.1f} ms", f"{times['p95']:.1f} ms"]
        yield ["of these, with ghost text", f"{run['shown']:.0%}", ""]
        yield ["from the start of Neovim to the first ghost text", f"{run['seconds_to_first']:.1f} s", ""]
        yield [f"memory of the server, {run['files']:,} files", f"{run['megabytes']:.0f} MB", ""]


EDITOR = Question(
    "editor_latency",
    "How long does ghost text take in Neovim?",
    ["", "p50", "p95"],
    editor_rows,
    kind=("files", "model"),
)


QUESTIONS = [TYPING, EDITOR, STREAMS, FAULTS, HARNESS]
"""In the order of the page."""
