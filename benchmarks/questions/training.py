"""The questions about training."""

import shlex

from questions.question import Question, Rows, Run


def text_rows(runs: list[Run]) -> Rows:
    for run in runs:
        if "plain" not in run:  # a run of a version whose plain command had other options
            continue
        sides = [run.get(side) for side in ("plain", "from_nothing", "peer")]
        yield [run["corpus"], f"`{plain_command(run)}`", *map(_both_protocols, sides)]


def plain_command(run: Run) -> str:
    """The command that trained the model."""
    return shlex.join(["onward", "train", "TEXT", *run["options"], "--minutes", f"{run['minutes']:g}"])


def _both_protocols(figures: Run | None) -> str:
    if figures is None:
        return ""
    return f"{figures['streaming_nats_per_symbol']:.3f} / {figures['cold_256_nats_per_symbol']:.3f}"


TEXT = Question(
    "text_budget",
    "How well does a model learn a text in a few minutes?",
    ["text", "command", "onward", "with `--base none`", "two LSTM layers in PyTorch"],
    text_rows,
    kind=("corpus", "minutes"),
    note="The last three columns give nats per character on the held-out end of the text: in one pass / in "
    "cold windows of 256 characters. The plain command begins with the base model `english`, which has not "
    "read these texts. The PyTorch network has as many parameters as the model with new weights, and is "
    "trained for the same time, with AdamW and without dropout.",
)


def small_rows(runs: list[Run]) -> Rows:
    for run in runs:
        sides = (run[side] for side in ("plain", "base_alone", "from_nothing"))
        cells = [f"{side['nats_per_symbol']:.3f}, {side['keystrokes_saved']:.1%}" for side in sides]
        yield [f"{run['kind']}, {run['thousand_characters']:,},000 characters", *cells]


SMALL = Question(
    "small_texts",
    "How much does a base model help with a small text?",
    ["text", "`onward train TEXT --minutes 1`", "the base model alone", "with `--base none`"],
    small_rows,
    kind=("kind", "thousand_characters", "minutes"),
    note="Nats per character on the 100,000 characters that follow the text, and the share of keystrokes "
    "saved in their first 5,000, with three completions shown. The base models have not read these texts. "
    "`english` was trained on other pages of the sites from which the web text comes.",
)


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


STEP = Question(
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
)


def peer_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, speed in sorted(run["symbols_per_second"].items(), key=lambda each: -each[1]):
            yield [name, f"{run['parameters'][name]:,}", f"{speed:,}"]


PEERS = Question(
    "peers_training",
    "How fast is training, compared with other libraries?",
    ["", "parameters", "symbols a second"],
    peer_rows,
)


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


KEPT_MEMORY = Question(
    "kept_memory",
    "How much faster is a training step if the process keeps freed memory?",
    ["freed memory", "step", "page faults a step"],
    memory_rows,
    kind=("recipe",),
)


def large_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['gigabytes']:g} GB",
            f"{run['first_seconds']:.0f} s",
            f"{run['second_seconds']:.0f} s",
            f"{run['peak_megabytes']:,.0f} MB",
        ]


LARGE = Question(
    "corpus_2gb",
    "How long until training starts on a large text?",
    ["text", "first run", "second run", "peak memory"],
    large_rows,
    kind=("gigabytes", "symbols"),
)


def resume_rows(runs: list[Run]) -> Rows:
    for run in runs:
        settings = run["settings"]
        yield [
            f"{settings['layer']}, {settings['precision']}, {settings['steps']:,} steps",
            f"{run['kills']}",
            "yes" if run["equal"] else "no",
        ]


RESUME = Question(
    "resume_sigkill",
    "Does a run that is killed and resumed end with the same bytes?",
    ["run", "kills", "same bytes"],
    resume_rows,
    kind=("settings", "threads"),
)


def busy_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, seconds in run["seconds"].items():
            ratios = run["times_as_long"][name]
            yield [
                name,
                run["source"] or "this one",
                f"{seconds['alone']:.1f} s",
                f"{ratios['beside_a_busy_process']:.2f}",
                f"{ratios['beside_a_busy_session']:.2f}",
            ]


BUSY = Question(
    "busy_machine",
    "How much longer do commands take beside another busy process?",
    ["command", "version", "alone", "beside a busy process", "beside one of another session"],
    busy_rows,
    kind=("source",),
    note="The last two columns are multiples of the time alone. A command is stopped after two minutes.",
)


def joint_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, milliseconds in run["milliseconds"].items():
            processes = name.partition(", ")[2].partition(" ")[0]
            exchange = run["exchange_milliseconds"].get(processes, {})
            yield [
                name,
                f"{run['lanes']}",
                f"{milliseconds:.0f} ms",
                f"{sum(exchange.values()):.1f} ms" if exchange else "",
                "" if name.startswith("1 shard,") else "yes" if run["same_bytes"] else "no",
            ]


JOINT = Question(
    "joint_training",
    "How long is a training step with several processes?",
    ["run", "lanes", "step", "of it exchange", "same bytes"],
    joint_rows,
    kind=("lanes",),
    note="All processes are on one machine of two cores, and compute on one thread each; the run with one "
    "shard has two threads. The exchange was timed alone.",
)


QUESTIONS = [TEXT, SMALL, STEP, JOINT, PEERS, KEPT_MEMORY, LARGE, RESUME, BUSY]
"""In the order of the page."""
