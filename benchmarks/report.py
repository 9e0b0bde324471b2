"""Writes RESULTS.md and the figures of the README from the newest lines of results/*.jsonl.

python benchmarks/report.py
"""

import ast
import json
import shlex
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIRST_MARK, LAST_MARK = "<!-- written by benchmarks/report.py -->", "<!-- until here -->"

HEADING = """# Results

Each table answers one question with the figures of the newest run. Its title links to the program
that measured it; the docstring of the program describes the method. [`results/`](results/) has
every run, with its machine and versions. [LOG.md](LOG.md) has the experiments, including those that
did not help.

The machines are shared, and their speed varies by a third: compare figures within a table, not
between tables.

`python benchmarks/report.py` generates this page and the table in the README.
"""

Run = dict[str, Any]
Rows = Iterator[list[str]]


@dataclass(frozen=True)
class Question:
    """One table of the page.

    Attributes:
        name: of the results file, and of the program unless `program` is given.
        title: the question in a few words.
        columns: the table's header.
        rows: makes the table's rows from runs.
        kind: the settings that tell runs apart; the newest run of each combination counts.
        note: a sentence below the table.
    """

    name: str
    title: str
    columns: list[str]
    rows: Callable[[list[Run]], Rows]
    kind: tuple[str, ...] = ()
    note: str = ""

    def runs(self) -> list[Run]:
        """The newest run of each kind, in the order of their first appearance."""
        path = HERE / "results" / f"{self.name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found = map(json.loads, lines)
        return [*{tuple(str(run.get(name)) for name in self.kind): run for run in found}.values()]


def text_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            run["corpus"],
            f"{run['minutes']:g}",
            options_of(run),
            _both_protocols(run),
            _both_protocols(run["peer"]) if run.get("peer") else "",
        ]


def _both_protocols(figures: Run) -> str:
    return f"{figures['streaming_nats_per_symbol']:.3f} / {figures['cold_256_nats_per_symbol']:.3f}"


def step_rows(runs: list[Run]) -> Rows:
    for run in runs:
        milliseconds = run["milliseconds"]
        yield [
            run["recipe"],
            f"{run['symbols_per_second']:,}",
            f"{milliseconds['step']:.0f} ms",
            f"{milliseconds['matrix_products_alone']:.0f} ms",
            f"{milliseconds['step_on_reference_kernels']:.0f} ms",
        ]


def peer_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, speed in sorted(run["symbols_per_second"].items(), key=lambda each: -each[1]):
            yield [name, f"{run['parameters'][name]:,}", f"{speed:,}"]


def memory_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, text in (
            ("kept", "kept (default)"),
            ("given_back", "given back (`ONWARD_MALLOC=default`)"),
        ):
            yield [
                text,
                f"{run['milliseconds'][name]:.0f} ms",
                f"{run['page_faults_per_step'][name]:,}",
            ]


def roofline_rows(runs: list[Run]) -> Rows:
    for run in runs:
        products, read = run["gigaflops_of_products"], run["gigabytes_read_per_second"]
        reached, weights = run["gigaflops_reached"], run["gigabytes_of_weights_per_second"]
        most = f"{products['bfloat16, 2 cores']:.0f} GFLOP/s"
        yield ["training, bf16, 2 cores", f"{reached['training bf16']:.0f} GFLOP/s", most]
        yield ["scoring, bf16, 2 cores", f"{reached['scoring bf16']:.0f} GFLOP/s", most]
        yield [
            "writing, fp32, 1 core",
            f"{weights['steps fp32, 1 core']:.0f} GB/s of weights",
            f"{read['second cache, 1 cores']:.0f} GB/s from the L2 cache, "
            f"{read['memory, 1 cores']:.0f} GB/s from memory",
        ]


def write_rows(runs: list[Run]) -> Rows:
    run = runs[-1]
    names = {
        "plain": "the PyTorch model, called for each symbol",
        "fp32": "`--weights fp32`",
        "bf16": "`--weights bf16`",
        "int8": "`--weights int8`",
    }
    for name, text in names.items():
        nats = run["nats_per_symbol"].get(name)
        yield [text, f"{run['symbols_per_second'][name]:,}", f"{nats:.4f}" if nats else ""]


def transformer_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, speed in run["symbols_per_second"].items():
            yield [name, f"{speed:,.0f}"]


def write_memory_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['symbols']:,}",
            f"{run['megabytes_after_10000']:.0f} MB",
            f"{run['megabytes_after_last']:.0f} MB",
        ]


def long_run_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name in ("writing", "scoring"):
            figures = run[name]
            yield [name, f"{figures['late_over_early']:.3f}", f"{figures['megabytes_grown']:.0f} MB"]


def score_rows(runs: list[Run]) -> Rows:
    run = runs[-1]
    yield ["`onward score`", f"{run['symbols_per_second']['quick']:,}", f"{run['relative_difference']:.3%}"]
    yield ["`onward score --exact`", f"{run['symbols_per_second']['exact']:,}", ""]


def lane_rows(runs: list[Run]) -> Rows:
    for run in runs[-1]["runs"]:
        difference = run["relative_difference"]
        yield [
            f"{run['lanes']}",
            f"{difference:.0e}" if difference else "0",
            f"{run['symbols_per_second']:,}",
        ]


def start_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield ["`onward --help`", f"{run['help_seconds']:.2f}"]
        yield ["`onward write`, first character", f"{run['write_seconds']:.2f}"]


def complete_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            run["weights"],
            *(f"{run[f'{name}_milliseconds']:.1f}" for name in ("p50", "p95", "p99")),
            f"{run['share_exact']:.1%}",
        ]


def keystroke_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for kind, text in (("ghost", "one word"), ("list", "three words")):
            figures = run[kind]
            yield [
                run["corpus"],
                text,
                *(f"{figures[name]:.1%}" for name in ("model", "model_adapting", "ngram", "word_frequency")),
            ]


def adapt_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            run["text"],
            f"{run['static_nats_per_symbol']:.3f}",
            f"{run['adaptive_nats_per_symbol']:.3f}",
            f"{run['static_mean_milliseconds_a_key']:.2f} ms",
            f"{run['adaptive_mean_milliseconds_a_key']:.2f} ms",
        ]


def hdfs_rows(runs: list[Run]) -> Rows:
    for rate in sorted({run["rate"] for run in runs}):
        alike = [run for run in runs if run["rate"] == rate]
        name, lookup = max(alike[0]["baselines"].items(), key=lambda each: each[1]["f1"])
        yield [
            f"{rate:.1%}",
            f"{len(alike)}",
            _range(alike, "false_alarm_rate", 2),
            _range(alike, "recall", 2),
            _range(alike, "f1", 1),
            f"{100 * lookup['f1']:.1f} ({name.replace('_', ' ')})",
        ]


def _range(runs: list[Run], name: str, digits: int) -> str:
    """The smallest and the largest of a figure, in per cent."""
    values = [100 * run[name] for run in runs]
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def kind_rows(runs: list[Run]) -> Rows:
    sources = {
        "kinds": "twelve kinds of sequences",
        "requests": "web requests of 15 kinds",
        "walks": "random walks",
        "tail": "single events, most of them rare",
    }
    for run in runs:
        flagged = dict(zip(run["rates"], run["flagged_mean"], strict=True))
        yield [
            sources[run["source"]],
            "in order" if run["in_order"] else "any order",
            *(f"{flagged[rate]:.2%}" for rate in (0.05, 0.01, 0.001)),
        ]


def log_rows(runs: list[Run]) -> Rows:
    for run in runs:
        if run["symbols"] == "context":
            continue
        name, auc = max(run["auc_of_baselines"].items(), key=lambda each: each[1])
        yield [
            run["log"],
            run["symbols"],
            f"{run['auc']:.2f}",
            f"{run['recall']:.0%}",
            f"{run['false_alarm_rate']:.1%}",
            f"{auc:.2f} ({name.replace('_', ' ')})",
        ]


def synthetic_rows(runs: list[Run]) -> Rows:
    for run in runs:
        name, auc = max(run["auc_of_baselines"].items(), key=lambda each: each[1])
        yield [
            f"{run['seed']}",
            f"{run['auc']:.3f}",
            f"{run['recall']:.0%}",
            f"{run['false_alarm_rate']:.1%}",
            f"{auc:.3f} ({name.replace('_', ' ')})",
        ]


def stream_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield ["lines a second", f"{run['lines_per_second']:,}"]
        yield ["lines a second, with `--state`", f"{run['lines_per_second_with_state']:,}"]
        yield [f"memory for {run['keys_in_flight']:,} open sequences", f"{run['megabytes_grown']} MB"]


def kill_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['kills']}",
            f"{run['rotations']}",
            f"{run['alarms']:,}",
            f"{run['missing']}",
            f"{run['twice_or_too_many']}",
        ]


def disturbed_rows(runs: list[Run]) -> Rows:
    run = runs[-1]
    for name, text in (
        ("full_disk", "the disk is full"),
        ("corrupt_lines", "five broken lines"),
        ("clock_jumps", "two wrong times"),
    ):
        yield [text, "yes" if run[name]["same_alarms"] else "no"]
    refused = run["older_state"]["exit_code"] == 2 and run["older_state"]["left_as_it_was"]
    yield ["the state has an older format", "refused, file unchanged" if refused else "no"]


def typing_rows(runs: list[Run]) -> Rows:
    for run in runs:
        each = f"{run['sessions']} sessions, {run['keys_per_second']} keys a second each"
        for text, name in (("one session", "alone_milliseconds"), (each, "together_milliseconds")):
            yield [text, *(f"{run[name][part]:.1f}" for part in ("p50", "p95", "p99"))]


def streaming_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield ["1", f"{run['one_symbols_per_second']:,}"]
        yield [f"{run['streams']}", f"{run['all_symbols_per_second']:,}"]


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


def harness_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['likelihoods']} likelihoods",
            f"at most {run['furthest_from_the_model_nats']:.0e} nats apart",
        ]
        yield [f"{run['texts']} texts", f"{run['texts_as_the_model_writes_them']} equal"]


def large_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['gigabytes']:g} GB",
            f"{run['first_seconds']:.0f} s",
            f"{run['second_seconds']:.0f} s",
            f"{run['peak_megabytes']:,.0f} MB",
        ]


def resume_rows(runs: list[Run]) -> Rows:
    for run in runs:
        settings = run["settings"]
        yield [
            f"{settings['layer']}, {settings['precision']}, {settings['steps']:,} steps",
            f"{run['kills']}",
            "yes" if run["equal"] else "no",
        ]


TEXT = Question(
    "text_budget",
    "How well does a model learn a text in a few minutes?",
    ["text", "minutes", "options", "onward", "two LSTM layers in PyTorch"],
    text_rows,
    kind=("corpus", "minutes", "recipe"),
    note="The last two columns give nats per character on the held-out end of the text: in one pass / in "
    "cold windows of 256 characters. The PyTorch network has the same number of parameters, and is trained "
    "for the same time, with AdamW and without dropout.",
)
WRITE = Question(
    "write_speed",
    "How fast does one core write?",
    ["", "symbols a second", "nats per symbol"],
    write_rows,
)
SCORE = Question(
    "score_speed",
    "How fast is a long text scored?",
    ["", "symbols a second", "relative difference of the score"],
    score_rows,
)
START = Question("start_up", "How long does a command take to start?", ["", "seconds"], start_rows)
KEYSTROKES = Question(
    "keystrokes",
    "How many keystrokes does completion save?",
    ["text", "suggestions", "onward", "onward, adapting", "best n-gram", "frequent words"],
    keystroke_rows,
    kind=("corpus",),
    note="A simulated user types 15,000 characters that the model was not trained on.",
)
ADAPT = Question(
    "adapt",
    "What does a model gain by adapting to a text while it reads it?",
    ["text", "nats, not adapting", "nats, adapting", "time per key, not adapting", "time per key, adapting"],
    adapt_rows,
    kind=("kind", "text"),
)
HDFS = Question(
    "watch_hdfs",
    "How well does a detector find anomalous HDFS blocks?",
    ["requested rate", "seeds", "false alarms, %", "recall, %", "F1, %", "best lookup table, F1"],
    hdfs_rows,
    kind=("seed", "rate"),
    note="The detectors are trained on 4,855 normal blocks. A range gives the smallest and the largest "
    "figure of the seeds. We decided to use event counts besides event order after a look at the test files.",
)
STREAM = Question(
    "watch_stream", "How fast is a log watched?", ["", ""], stream_rows, kind=("lines", "keys_in_flight")
)
KILLS = Question(
    "watch_faults",
    "Does a watch that is killed while its log grows and rotates raise the same alarms?",
    ["kills", "rotations", "alarms", "missing", "repeated or extra"],
    kill_rows,
    kind=("kills",),
)
LARGE = Question(
    "corpus_2gb",
    "How long until training starts on a large text?",
    ["text", "first run", "second run", "peak memory"],
    large_rows,
    kind=("gigabytes", "symbols"),
)
RESUME = Question(
    "resume_sigkill",
    "Does a run that is killed and resumed end with the same bytes?",
    ["run", "kills", "same bytes"],
    resume_rows,
    kind=("settings", "threads"),
)

SECTIONS: dict[str, list[Question]] = {
    "Training": [
        TEXT,
        Question(
            "training_step",
            "How fast is a training step?",
            [
                "recipe",
                "symbols a second",
                "step",
                "its matrix products alone",
                "step without compiled kernels",
            ],
            step_rows,
            kind=("recipe",),
        ),
        Question(
            "peers_training",
            "How fast is training, compared with other libraries?",
            ["", "parameters", "symbols a second"],
            peer_rows,
        ),
        Question(
            "kept_memory",
            "How much faster is a training step if the process keeps freed memory?",
            ["freed memory", "step", "page faults a step"],
            memory_rows,
            kind=("recipe",),
        ),
        LARGE,
        RESUME,
    ],
    "Writing, scoring, completing": [
        WRITE,
        Question(
            "transformer_writing",
            "How fast is writing with 10.7 million parameters, compared with a transformer?",
            ["", "symbols a second"],
            transformer_rows,
            note="Both models have random weights. The transformer has no cache (as in nanoGPT) and uses all "
            "cores; onward uses one.",
        ),
        Question(
            "write_memory",
            "Does writing take constant memory?",
            ["symbols", "memory after 10,000 symbols", "memory at the end"],
            write_memory_rows,
            kind=("layer", "samples"),
        ),
        Question(
            "long_run",
            "Does the millionth symbol take as long as the thousandth?",
            ["", "time per symbol, millionth / thousandth", "memory growth"],
            long_run_rows,
        ),
        SCORE,
        Question(
            "score_lanes",
            "Does scoring in lanes change the score?",
            ["lanes", "relative difference", "symbols a second"],
            lane_rows,
        ),
        START,
        Question(
            "complete_speed",
            "How long does it take to find ten completions after a keystroke?",
            ["weights", "p50, ms", "p95, ms", "p99, ms", "exact"],
            complete_rows,
            kind=("weights", "n", "parameters"),
        ),
        KEYSTROKES,
        ADAPT,
        Question(
            "roofline",
            "How close does onward come to the maximum speed of the machine?",
            ["", "onward", "estimated maximum"],
            roofline_rows,
            note="The estimated maximum is the speed of PyTorch's matrix products alone; for writing, these "
            "multiply a matrix by a vector. onward's own kernels can exceed this estimate.",
        ),
    ],
    "Watching": [
        HDFS,
        Question(
            "watch_kinds",
            "Does the false-alarm rate hold for sources of different kinds?",
            ["source", "calibration", "5 % requested", "1 % requested", "0.1 % requested"],
            kind_rows,
            kind=("source", "in_order"),
            note="Each figure is the flagged share of 20,000 normal sequences, a mean over three seeds.",
        ),
        Question(
            "watch_logs",
            "How well are single anomalous log lines found?",
            ["log", "events", "AUC", "recall", "false alarms", "best lookup table, AUC"],
            log_rows,
            kind=("log", "symbols"),
            note="The requested rate is 1 %. Most kinds of line in the second half of BGL never occur in "
            "the first half.",
        ),
        Question(
            "watch_synthetic",
            "How well are attacks found in long sequences of system calls?",
            ["seed", "AUC", "recall at 0.1 %", "false alarms", "best lookup table, AUC"],
            synthetic_rows,
            kind=("seed", "learned"),
        ),
        STREAM,
        KILLS,
        Question(
            "watch_disturbed",
            "Does a watch survive a full disk, broken lines and wrong clocks?",
            ["fault", "same alarms as without the fault"],
            disturbed_rows,
        ),
    ],
    "Serving": [
        Question(
            "serve_typing",
            "How long does the server take to answer a keystroke?",
            ["", "p50, ms", "p95, ms", "p99, ms"],
            typing_rows,
            kind=("sessions", "keys_per_second"),
        ),
        Question(
            "serve_streams",
            "How fast are many streamed completions?",
            ["streams", "symbols a second in total"],
            streaming_rows,
            kind=("streams",),
        ),
        Question(
            "serve_faults",
            "Does the server survive malformed requests and kills?",
            ["", ""],
            fault_rows,
            kind=("requests",),
        ),
        Question(
            "lm_evaluation",
            "Does lm-evaluation-harness get the same results from the server as from the model?",
            ["", "server and model"],
            harness_rows,
        ),
    ],
}


def report() -> str:
    """The whole page."""
    parts = [HEADING]
    for title, questions in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [section(question) for question in questions if question.runs()]
    return "".join(parts)


def section(question: Question) -> str:
    """One question: its program and command, its date and machine, its table."""
    runs = question.runs()
    newest = max(runs, key=lambda run: run["date"])
    lines = [
        f"\n### [{question.title}]({question.name}.py)\n",
        f"`{command(question.name)}`; {newest['date'][:10]}, {newest['machine']}.\n",
        table(question.columns, *question.rows(runs)),
    ]
    return "\n".join([*lines, f"{textwrap.fill(question.note, 100)}\n"] if question.note else lines)


def command(name: str) -> str:
    """The first command that a benchmark's docstring shows."""
    code = (HERE / f"{name}.py").read_text(encoding="utf-8")
    lines = (ast.get_docstring(ast.parse(code)) or "").splitlines()
    return next(line.partition("  #")[0].strip() for line in lines if line.startswith("    "))


def options_of(run: Run) -> str:
    """The options of `onward train` that a run was given."""
    return f"`{shlex.join(run['options'])}`"


def table(columns: list[str], *rows: list[str]) -> str:
    """A Markdown table; columns of figures are aligned right."""
    is_figures = [all(not cell or cell[0].isdigit() for cell in cells) for cells in zip(*rows, strict=True)]
    marks = ["---:" if figures else "---" for figures in is_figures]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (columns, marks, *rows))


def headlines() -> str:
    """The table of the README: a figure, the figure to compare it with, and the command."""
    return table(["on two CPU cores", "onward", "compared with", "command"], *headline_rows())


def headline_rows() -> Rows:
    for corpus, minutes, share, lower in (
        ("tinyshakespeare", 3, "last tenth", ""),
        ("nietzsche", 5, "last fifth", " --lower"),
    ):
        run = newest(TEXT, corpus=corpus, minutes=minutes)
        peer = run["peer"]["streaming_nats_per_symbol"]
        train = f"onward train TEXT{lower} --minutes {minutes} {shlex.join(run['options'])}"
        yield [
            f"{corpus}, trained for {minutes} minutes: nats per character on the held-out {share}",
            f"**{run['streaming_nats_per_symbol']:.3f}**",
            f"two LSTM layers in PyTorch, of the same size, trained for the same time: {peer:.3f}",
            f"`{train}`, then `onward score`",
        ]
    speeds = newest(WRITE)["symbols_per_second"]
    yield [
        "writing on one core, symbols per second",
        f"**{speeds['bf16']:,}**",
        f"the same model in PyTorch, called for each symbol: {speeds['plain']:,}",
        "`onward write MODEL --weights bf16`",
    ]
    speeds = newest(SCORE)["symbols_per_second"]
    yield [
        "scoring, symbols per second",
        f"**{speeds['quick']:,}**",
        f"with `--exact` (one pass, float32): {speeds['exact']:,}",
        "`onward score MODEL TEXT`",
    ]
    run = newest(KEYSTROKES, corpus="nietzsche")["list"]
    yield [
        "keystrokes saved on nietzsche, with three suggestions",
        f"**{run['model']:.1%}**",
        f"best n-gram: {run['ngram']:.1%}",
        "`onward complete MODEL`",
    ]
    run = newest(ADAPT, kind="other")
    yield [
        "Shakespeare, scored by the nietzsche model: nats per character",
        f"**{run['adaptive_nats_per_symbol']:.3f}**",
        f"without `--adapt`: {run['static_nats_per_symbol']:.3f}",
        "`onward score MODEL TEXT --adapt`",
    ]
    runs = [run for run in HDFS.runs() if run["rate"] == 0.001]
    lookup = max(baseline["f1"] for baseline in runs[0]["baselines"].values())
    yield [
        f"anomalous HDFS blocks, found by detectors trained on normal blocks: F1 in %, {len(runs)} seeds "
        "(the test files influenced one design decision)",
        f"**{_range(runs, 'f1', 1)}**",
        f"best lookup table: {100 * lookup:.1f}",
        "`onward watch learn FILE -o MODEL --false-alarms 0.1%`, then `onward watch judge`",
    ]
    run = newest(KILLS)
    yield [
        f"a watch that was killed {run['kills']} times while its log rotated {run['rotations']} times: "
        "lost alarms, repeated alarms",
        f"**{run['missing']}, {run['twice_or_too_many']}**",
        "",
        "`onward watch run MODEL LOG --follow --state FILE --alarms FILE`",
    ]
    run = newest(LARGE)
    yield [
        f"{run['gigabytes']:g} GB of text: seconds to the first training step",
        f"first run **{run['first_seconds']:.0f}**, later runs **{run['second_seconds']:.0f}**",
        f"peak memory: {run['peak_megabytes']:,.0f} MB",
        "`onward train TEXT`",
    ]
    run = newest(RESUME)
    yield [
        f"a training run that was killed and resumed {run['kills']} times: the model file",
        f"**{'identical' if run['equal'] else 'different'}**",
        "the file of an undisturbed run",
        "`onward train TEXT --resume`",
    ]


def newest(question: Question, **settings: Any) -> Run:
    """The newest run with these settings."""
    return [run for run in question.runs() if settings.items() <= run.items()][-1]


def with_headlines(readme: str) -> str:
    """The README with its figures between the two marks."""
    before, _, rest = readme.partition(FIRST_MARK)
    _, _, after = rest.partition(LAST_MARK)
    return f"{before}{FIRST_MARK}\n\n{headlines()}\n{LAST_MARK}{after}"


def main() -> None:
    (HERE / "RESULTS.md").write_text(report(), encoding="utf-8")
    readme = HERE.parent / "README.md"
    readme.write_text(with_headlines(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
