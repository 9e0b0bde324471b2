"""Writes RESULTS.md, and the figures of the README, from results/*.jsonl: the last result of each kind.

    python benchmarks/report.py

A benchmark of the name of the results states its question in the first line of its file, and how it is run
below.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KINDS = {
    "text_budget": ("corpus", "minutes", "recipe"),
    "corpus_2gb": ("gigabytes", "symbols"),
    "write_memory": ("layer", "samples"),
    "write_speed": ("layer", "parameters"),
    "score_speed": ("layer", "parameters"),
    "score_lanes": ("text", "layer"),
    "resume_sigkill": ("settings", "threads"),
    "training_step": ("recipe",),
    "kept_memory": ("recipe",),
    "roofline": (),
    "peers_training": (),
    "transformer_writing": (),
    "long_run": ("layer", "parameters"),
    "watch_hdfs": ("seed", "rate"),
    "watch_logs": ("log", "symbols", "seed"),
    "watch_synthetic": ("seed", "learned"),
    "watch_kinds": ("source", "in_order"),
    "start_up": (),
    "watch_stream": ("lines", "keys_in_flight"),
    "watch_faults": ("kills",),
    "watch_disturbed": ("lines",),
    "complete_speed": ("weights", "n", "parameters"),
    "keystrokes": ("corpus",),
    "adapt": ("kind", "text"),
    "serve_typing": ("sessions", "keys_per_second"),
    "serve_streams": ("streams",),
    "serve_faults": ("requests",),
    "lm_evaluation": (),
}
"""The questions in order, and what tells the results of one apart; of those that agree the last counts."""

FIRST_MARK, LAST_MARK = "<!-- written by benchmarks/report.py -->", "<!-- until here -->"

HEADING = """# Results

Written by `python benchmarks/report.py` from the JSON lines in `results/`; the command below each question
measured its figures. The machines are shared, and their speed drifts by a third: compare within a run, not
between runs. What did not help is in [LOG.md](LOG.md).
"""


def report() -> str:
    """The whole page."""
    return HEADING + "".join(section(question) for question in KINDS if measured(question))


def measured(question: str) -> bool:
    """Whether there is a result."""
    return (HERE / "results" / f"{question}.jsonl").exists()


def headlines() -> str:
    """The table of the README: what was asked, what onward gave, what stands beside it."""
    rows = [*learned(), *used(), *typed(), *watched(), *beside(), *kept()]
    return table(["on two CPU cores", "onward", "beside it"], ["---"] * 3, *rows)


def learned() -> Iterator[list[str]]:
    """How well texts are learned."""
    for corpus, minutes, what in (
        ("tinyshakespeare", 3, "tinyshakespeare, 3 minutes of training, the last 10 %"),
        ("tinyshakespeare", 10, "the same in 10 minutes"),
        ("nietzsche", 5, "nietzsche in lower case, 5 minutes of training, the last 20 %"),
    ):
        run = last("text_budget", corpus=corpus, minutes=minutes)
        ours, peer = (
            [part["streaming_nats_per_symbol"], part["cold_256_nats_per_symbol"]] if part else []
            for part in (run, run.get("peer"))
        )
        yield [
            f"{what}: nats per character, in one pass and in cold windows of 256",
            f"**{ours[0]:.3f}**, {ours[1]:.3f}, with `{' '.join(run['options'])}`",
            "two LSTM layers of equal size with AdamW, without dropout, given the same seconds: "
            f"{peer[0]:.3f}, {peer[1]:.3f}"
            if peer
            else "",
        ]


def used() -> Iterator[list[str]]:
    """How quickly a model is used."""
    write, score = last("write_speed"), last("score_speed")["symbols_per_second"]
    speeds, times = write["symbols_per_second"], write["times_plain"]["fp32"]
    yield [
        "writing on one core, symbols a second",
        f"**{speeds['fp32']:,}**, with weights in bfloat16 **{speeds['bf16']:,}**",
        f"the model called in PyTorch for each symbol: {speeds['plain']:,}, {times:.0f} times slower",
    ]
    yield ["scoring a long text, symbols a second", f"**{score['quick']:,}**", f"exactly: {score['exact']:,}"]
    yield [
        "`onward write`, seconds to the first character",
        f"**{last('start_up')['write_seconds']:.1f}**",
        "",
    ]


def typed() -> Iterator[list[str]]:
    """What completion saves who types, and what adapting does; a row for each text that was measured."""
    for run in last_results("keystrokes") if measured("keystrokes") else []:
        best = [max(run[kind]["ngram"], run[kind]["word_frequency"]) for kind in ("ghost", "list")]
        ours = [run[kind]["model"] for kind in ("ghost", "list")]
        yield [
            f"keystrokes saved on {run['corpus']}, one word shown, three shown",
            f"**{ours[0]:.1%}**, **{ours[1]:.1%}**",
            f"the best of n-grams and frequent words: {best[0]:.1%}, {best[1]:.1%}",
        ]
    for run in last_results("adapt") if measured("adapt") else []:
        nats = (run["static_nats_per_symbol"], run["adaptive_nats_per_symbol"])
        yield [
            f"nats per character of {run['text']}, learning as it reads",
            f"**{nats[1]:.3f}**",
            f"the model as it is: {nats[0]:.3f}",
        ]


def beside() -> Iterator[list[str]]:
    """What other libraries and other models do; a row for each question that was asked."""
    if measured("peers_training"):
        run = last("peers_training")
        speeds = run["symbols_per_second"]
        others = ("torch LSTM bf16", "Keras LSTM on JAX", "minGRU-pytorch bf16")
        yield [
            "training two LSTM layers of 384, symbols a second",
            f"**{speeds['onward lstm']:,}**; the default recipe {speeds['onward default']:,}",
            "; ".join(f"{name}: {speeds[name]:,}" for name in others if name in speeds),
        ]
    if measured("transformer_writing"):
        speeds = last("transformer_writing")["symbols_per_second"]
        other = max(speed for name, speed in speeds.items() if name.startswith("transformer"))
        yield [
            "writing with 10.7 M parameters, symbols a second",
            f"**{speeds['onward fp32']:,.0f}** on one core, in int8 **{speeds['onward int8']:,.0f}**",
            f"a transformer of that size without a cache, on both: {other:,.0f}",
        ]


def watched() -> Iterator[list[str]]:
    """How well what deviates is told, and how many alarms were false, over all seeds that were measured."""
    runs = [run for run in last_results("watch_hdfs") if run["rate"] == 0.001]
    lookup = max((table["f1"], name) for name, table in runs[0]["baselines"].items())
    f1, rates = ([100 * run[name] for run in runs] for name in ("f1", "false_alarm_rate"))
    yield [
        "anomalous blocks of HDFS, learned from normal ones alone for 0.1 % of false alarms, "
        f"{len(runs)} seeds (that counts add to order was chosen after a look at the test files): F1",
        f"**{min(f1):.1f}** to **{max(f1):.1f}**, false alarms {min(rates):.2f} to {max(rates):.2f} %",
        f"the best lookup or n-gram, {lookup[1].replace('_', ' ')}: {100 * lookup[0]:.1f}",
    ]


def kept() -> Iterator[list[str]]:
    """What is constant, and what is not lost."""
    large, memory, killed = (last(name) for name in ("corpus_2gb", "write_memory", "resume_sigkill"))
    yield [
        f"a text of {large['gigabytes']:g} GB, seconds to the first step of training",
        f"**{large['first_seconds']:.0f}**, the second time **{large['second_seconds']:.1f}**",
        f"memory at most {large['peak_megabytes']:,.0f} MB",
    ]
    grown = memory["megabytes_grown"]
    yield [f"writing {memory['symbols']:,} symbols in one go", f"memory changes by **{grown:+.1f} MB**", ""]
    same = "the same" if killed["equal"] else "other"
    yield [f"a run killed {killed['kills']} times and resumed", f"**{same} bytes** as a run left alone", ""]


def section(question: str) -> str:
    """One question: its title, how it is asked, and a table with a column for each of its results."""
    title, _, rest = documentation(question).partition("\n")
    results = last_results(question)
    rows = [flat(result) for result in results]
    names = dict.fromkeys(name for row in rows for name in row)  # in the order of their first appearance
    figures = table(
        ["", *(result["date"][:10] for result in results)],
        ["---", *("---:" for _ in results)],
        *([name, *(row.get(name, "") for row in rows)] for name in names),
    )
    return "\n".join([f"\n## {title}\n", rest.strip("\n"), "", figures])


def table(*rows: list[str]) -> str:
    """Rows of cells in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def documentation(question: str) -> str:
    """The docstring of a benchmark."""
    code = (HERE / f"{question}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(code)) or question


def last_results(question: str) -> list[dict[str, Any]]:
    """The last result of each kind."""
    lines = (HERE / "results" / f"{question}.jsonl").read_text(encoding="utf-8").splitlines()
    found = map(json.loads, lines)
    return [*{tuple(str(line.get(name)) for name in KINDS[question]): line for line in found}.values()]


def last(question: str, **kind: Any) -> dict[str, Any]:
    """The last result of all, or of a kind."""
    return [line for line in last_results(question) if kind.items() <= line.items()][-1]


def flat(figures: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested figures by name, as cells; parts of a list are told apart by their first figure."""
    cells: dict[str, str] = {}
    for name, value in figures.items():
        label = f"{before}{name.replace('_', ' ')}"
        match value:
            case _ if label == "date":
                continue
            case dict() if label == "versions":
                cells[label] = ", ".join(f"{package} {version}" for package, version in value.items())
            case dict():
                cells |= flat(value, f"{label}: ")
            case [dict(), *_]:
                for entry in value:
                    (first, which), *others = entry.items()
                    cells |= flat(dict(others), f"{label}, {which} {first.replace('_', ' ')}: ")
            case bool():
                cells[label] = "yes" if value else "no"
            case int() | float():
                cells[label] = f"{value:,}"
            case _:
                cells[label] = str(value)
    return cells


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
