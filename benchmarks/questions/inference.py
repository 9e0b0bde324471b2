"""The questions about writing, scoring and completing."""

from questions.question import Question, Rows, Run


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


WRITE = Question(
    "write_speed",
    "How fast does one core write?",
    ["", "symbols a second", "nats per symbol"],
    write_rows,
)


def page_rows(runs: list[Run]) -> Rows:
    run = runs[-1]
    names = {"page": "an exported page in Chromium", "onward": "`--weights bf16`"}
    for name, text in names.items():
        size = f"{run['megabytes']:.1f}" if name == "page" else ""
        yield [text, f"{run['symbols_per_second'][name]:,}", f"{run['bits_per_symbol'][name]:.2f}", size]


PAGE = Question(
    "page_speed",
    "How fast does an exported page write, compared with onward on one core?",
    ["", "symbols a second", "bits per symbol", "megabytes of the page"],
    page_rows,
    note="Both with bfloat16 weights and in turns; the page shows the text while it writes. Other programs "
    "were running, so both speeds are low.",
)


def transformer_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, speed in run["symbols_per_second"].items():
            yield [name, f"{speed:,.0f}"]


TRANSFORMER = Question(
    "transformer_writing",
    "How fast is writing with 10.7 million parameters, compared with a transformer?",
    ["", "symbols a second"],
    transformer_rows,
    note="Both models have random weights. The transformer has no cache (as in nanoGPT) and uses all cores; "
    "onward uses one.",
)


def write_memory_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            f"{run['symbols']:,}",
            f"{run['megabytes_after_10000']:.0f} MB",
            f"{run['megabytes_after_last']:.0f} MB",
        ]


WRITE_MEMORY = Question(
    "write_memory",
    "Does writing take constant memory?",
    ["symbols", "memory after 10,000 symbols", "memory at the end"],
    write_memory_rows,
    kind=("layer", "samples"),
)


def long_run_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name in ("writing", "scoring"):
            figures = run[name]
            yield [name, f"{figures['late_over_early']:.3f}", f"{figures['megabytes_grown']:.0f} MB"]


LONG_RUN = Question(
    "long_run",
    "Does the millionth symbol take as long as the thousandth?",
    ["", "time per symbol, millionth / thousandth", "memory growth"],
    long_run_rows,
)


def score_rows(runs: list[Run]) -> Rows:
    run = runs[-1]
    yield ["`onward score`", f"{run['symbols_per_second']['quick']:,}", f"{run['relative_difference']:.3%}"]
    yield ["`onward score --exact`", f"{run['symbols_per_second']['exact']:,}", ""]
    if memory := run["symbols_per_second"].get("memory"):
        yield ["`onward score --learn memory`", f"{memory:,}", ""]


SCORE = Question(
    "score_speed",
    "How fast is a long text scored?",
    ["", "symbols a second", "relative difference of the score"],
    score_rows,
)


def lane_rows(runs: list[Run]) -> Rows:
    for run in runs[-1]["runs"]:
        difference = run["relative_difference"]
        yield [
            f"{run['lanes']}",
            f"{difference:.0e}" if difference else "0",
            f"{run['symbols_per_second']:,}",
        ]


LANES = Question(
    "score_lanes",
    "Does scoring in lanes change the score?",
    ["lanes", "relative difference", "symbols a second"],
    lane_rows,
)


def start_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield ["`onward --help`", f"{run['help_seconds']:.2f}"]
        yield ["`onward write`, first character", f"{run['write_seconds']:.2f}"]


START = Question("start_up", "How long does a command take to start?", ["", "seconds"], start_rows)


def complete_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            run["weights"],
            f"{run.get('memory_megabytes', 0):g} MB",
            *(f"{run[f'{name}_milliseconds']:.1f}" for name in ("p50", "p95", "p99")),
            f"{run['share_exact']:.1%}",
        ]


COMPLETE = Question(
    "complete_speed",
    "How long does it take to find ten completions after a keystroke?",
    ["weights", "memory", "p50, ms", "p95, ms", "p99, ms", "exact"],
    complete_rows,
    kind=("weights", "n", "parameters", "memory_megabytes"),
)


def keystroke_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for kind, text in (("ghost", "one word"), ("list", "three words")):
            figures = run[kind]
            yield [
                run["corpus"],
                text,
                *(f"{figures[name]:.1%}" if name in figures else "" for name in _COMPLETERS),
            ]


_COMPLETERS = (
    "network", "model", "model_adapting", "model_remembering", "ngram", "ngram_learning", "word_frequency",
)  # fmt: skip


KEYSTROKES = Question(
    "keystrokes",
    "How many keystrokes does completion save?",
    [
        "text",
        "suggestions",
        "network alone",
        "onward",
        "onward, adapting",
        "onward, remembering",
        "best n-gram",
        "best n-gram that learns",
        "frequent words",
    ],
    keystroke_rows,
    kind=("corpus",),
    note="A simulated user types 15,000 characters (packages: 10,500) that the model was not trained on. "
    "python: files of the standard library; the model has no base, because the base `python` has read them. "
    "packages: files of attrs, black, httpx and tqdm, which no base has read.",
)


def adapt_rows(runs: list[Run]) -> Rows:
    for run in runs:
        yield [
            run["text"],
            f"{run['static_nats_per_symbol']:.3f}",
            f"{run['adaptive_nats_per_symbol']:.3f}",
            f"{run['static_mean_milliseconds_a_key']:.2f} ms",
            f"{run['adaptive_mean_milliseconds_a_key']:.2f} ms",
        ]


ADAPT = Question(
    "adapt",
    "What does a model gain by adapting to a text while it reads it?",
    ["text", "nats, not adapting", "nats, adapting", "time per key, not adapting", "time per key, adapting"],
    adapt_rows,
    kind=("kind", "text"),
)


def memory_rows(runs: list[Run]) -> Rows:
    for run in runs:
        learned = ("network", "weights", "memory", "both", "remembered", "remembered_both")
        yield [
            run["text"],
            *(f"{run[name]:.3f}" if name in run else "" for name in (*learned, "zpaq", "ppmd", "xz")),
            f"{run['memory_microseconds_per_symbol']:.1f} us",
        ]


MEMORY = Question(
    "memory",
    "How much does online learning lower the loss of a text, and how does the loss compare with compressors?",
    [
        "text",
        "network alone",
        "weights learn",
        "memory",
        "both",
        "memory, remembering",
        "both, remembering",
        "zpaq",
        "PPMd",
        "xz",
        "memory's time per symbol",
    ],
    memory_rows,
    kind=("text",),
    note="In nats per character. Remembering: the memory starts with the counts of the training text "
    "(`onward train --remember`). The compressors have read the training text first.",
)


def novelty_rows(runs: list[Run]) -> Rows:
    names = {
        "network": "without a memory, as `onward write`",
        "memory": "with a memory",
        "remembered": "with a memory that starts with the training text",
    }
    for run in runs:
        for name, text in names.items():
            yield [run["text"], text, *(f"{run[name][source]:.1%}" for source in _SOURCES)]


_SOURCES = ("from_training", "from_read", "from_itself")

NOVELTY = Question(
    "write_novelty",
    "How much would writing copy if it used a memory?",
    ["text", "", "from the training text", "from what was read", "from its own first half"],
    novelty_rows,
    kind=("text",),
    note="Share of 2,000 written symbols in spans of 20 or more that are copied from each source.",
)


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


ROOFLINE = Question(
    "roofline",
    "How close does onward come to the maximum speed of the machine?",
    ["", "onward", "estimated maximum"],
    roofline_rows,
    note="The estimated maximum is the speed of PyTorch's matrix products alone; for writing, these "
    "multiply a matrix by a vector. onward's own kernels can exceed this estimate.",
)


def archive_rows(runs: list[Run]) -> Rows:
    for run in runs:
        for name, found in run["sides"].items():
            yield [
                name,
                f"{found['symbols_per_second']:,}",
                f"{found['efficiency']:.2f}",
                f"{found['start_seconds']:.0f} s",
                f"{found['megabytes_per_worker']:,} MB",
                "yes" if run["equal"] else "no",
            ]


ARCHIVES = Question(
    "archives",
    "How fast do several workers score an archive?",
    ["", "symbols a second", "efficiency", "start-up", "memory of a worker", "same figures"],
    archive_rows,
    note="Each worker has one thread. The machine has two cores, so two workers can at most be twice as "
    "fast, which is an efficiency of 1.",
)


QUESTIONS = [
    WRITE,
    PAGE,
    TRANSFORMER,
    WRITE_MEMORY,
    LONG_RUN,
    SCORE,
    LANES,
    ARCHIVES,
    START,
    COMPLETE,
    KEYSTROKES,
    ADAPT,
    MEMORY,
    NOVELTY,
    ROOFLINE,
]
"""In the order of the page."""
