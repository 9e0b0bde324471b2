"""The table of the README: a figure, the figure to compare it with, and the command."""

from questions.inference import ADAPT, KEYSTROKES, SCORE, WRITE
from questions.question import Rows, Run, range_in_percent, table
from questions.training import LARGE, RESUME, TEXT, plain_command
from questions.watching import HDFS, KILLS

FIRST_MARK, LAST_MARK = "<!-- written by benchmarks/report.py -->", "<!-- until here -->"


def with_headlines(readme: str) -> str:
    """The README with its figures between the two marks."""
    before, _, rest = readme.partition(FIRST_MARK)
    _, _, after = rest.partition(LAST_MARK)
    return f"{before}{FIRST_MARK}\n\n{headlines()}\n{LAST_MARK}{after}"


def headlines() -> str:
    """The table of the README: a figure, the figure to compare it with, and the command."""
    return table(["on two CPU cores", "onward", "compared with", "command"], *headline_rows())


def headline_rows() -> Rows:
    for corpus, minutes, share in (("tinyshakespeare", 3, "last tenth"), ("nietzsche", 5, "last fifth")):
        run = TEXT.newest(corpus=corpus, minutes=minutes)
        names = {
            "from_nothing": "with `--base none`",
            "peer": "two LSTM layers in PyTorch, of the same size, for the same time",
        }
        others = [f"{name}: {_nats(run[side])}" for side, name in names.items() if side in run]
        yield [
            f"{corpus}, trained for {minutes} minutes: nats per character on the test part, the {share}",
            f"**{_nats(run['plain'])}**",
            "; ".join(others),
            f"`{plain_command(run)}`, then `onward score`",
        ]
    speeds = WRITE.newest()["symbols_per_second"]
    yield [
        "writing on one core, symbols per second",
        f"**{speeds['bf16']:,}**",
        f"the same model in PyTorch, called for each symbol: {speeds['plain']:,}",
        "`onward write MODEL --weights bf16`",
    ]
    speeds = SCORE.newest()["symbols_per_second"]
    yield [
        "scoring, symbols per second",
        f"**{speeds['quick']:,}**",
        f"with `--exact` (one pass, float32): {speeds['exact']:,}",
        "`onward score MODEL TEXT`",
    ]
    run = KEYSTROKES.newest(corpus="nietzsche")["list"]
    yield [
        "keystrokes saved on nietzsche, with three suggestions",
        f"**{run['model']:.1%}**",
        f"best n-gram: {run['ngram']:.1%}",
        "`onward complete MODEL`",
    ]
    run = ADAPT.newest(kind="other")
    yield [
        "Shakespeare, scored by the nietzsche model: nats per character",
        f"**{run['adaptive_nats_per_symbol']:.3f}**",
        f"without learning: {run['static_nats_per_symbol']:.3f}",
        "`onward score MODEL TEXT --learn weights`",
    ]
    runs = [run for run in HDFS.runs() if run["rate"] == 0.001]
    lookup = max(baseline["f1"] for baseline in runs[0]["baselines"].values())
    yield [
        "HDFS log, where a sequence is the lines about one block of a file: F1 in % of detectors that were "
        f"trained on normal sequences, {len(runs)} seeds (the test files influenced one design decision)",
        f"**{range_in_percent(runs, 'f1', 1)}**",
        f"best lookup table: {100 * lookup:.1f}",
        "`onward watch learn FILE -o MODEL --false-alarms 0.1%`, then `onward watch judge`",
    ]
    run = KILLS.newest()
    yield [
        f"watching a log, killed {run['kills']} times while the log rotated {run['rotations']} times: "
        "lost alarms, repeated alarms",
        f"**{run['missing']}, {run['repeated_or_extra']}**",
        "",
        "`onward watch run MODEL LOG --follow --state FILE --alarms FILE`",
    ]
    run = LARGE.newest()
    yield [
        f"{run['gigabytes']:g} GB of text: seconds to the first training step",
        f"first run **{run['first_seconds']:.0f}**, later runs **{run['second_seconds']:.0f}**",
        f"peak memory: {run['peak_megabytes']:,.0f} MB",
        "`onward train TEXT`",
    ]
    run = RESUME.newest()
    yield [
        f"a training run that was killed and resumed {run['kills']} times: the model file",
        f"**{'identical' if run['equal'] else 'different'}**",
        "the file of an undisturbed run",
        "`onward train TEXT --resume`",
    ]


def _nats(figures: Run) -> str:
    return f"{figures['streaming_nats_per_symbol']:.3f}"
