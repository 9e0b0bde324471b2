"""`onward watch judge`: how good a detector is, where it is known what is normal."""

from pathlib import Path
from typing import Annotated, Any

import typer

from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import Detector, FalseAlarms, TopK, rate_of


def judge(
    model: Detector,
    normal: Annotated[list[str], typer.Option(help="Sequences that are normal.")],
    anomalous: Annotated[
        list[str], typer.Option(help="Sequences that are not; CLASS=FILE for recall of each class.")
    ],
    false_alarms: FalseAlarms = None,
    top_k: TopK = None,
    scale: Annotated[
        int | None,
        typer.Option(metavar="N", help="The normal ones are a sample of N; precision is then that of all."),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="A folder for the ROC curves and the distributions of scores.")
    ] = None,
    json: Json = False,
) -> None:
    """Judge a detector at the threshold that it has, beside lookup tables and an n-gram.

    \b
    onward watch judge hdfs.onward --normal normal.gz --anomalous anomalous.gz --pictures .
    onward watch judge hdfs.onward --normal sample.gz --anomalous anomalous.gz --scale 553366
    """
    from onward.watch.datasets import load_sequences  # noqa: PLC0415
    from onward.watch.detector import Detector as Loaded  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.evaluate import evaluate  # noqa: PLC0415
    from onward.watch.evaluation.plots import draw  # noqa: PLC0415
    from onward.watch.evaluation.summary import warnings  # noqa: PLC0415

    detector = Loaded.load(model).with_rate(rate_of(false_alarms, top_k), top_k)
    right = load_sequences(detector, normal)
    wrong = [(name, load_sequences(detector, [path])) for name, path in map(_named, anomalous)]
    classes: dict[str, list[list[str]]] = {}
    for name, loaded in wrong:
        classes.setdefault(name, []).extend(loaded.events)
    found = evaluate(detector, right.events, classes, normal_in_all=scale)
    for warning in warnings(detector, [right.unreadable, *(loaded.unreadable for _, loaded in wrong)]):
        say(warning, style="yellow")
    data = found.to_json()
    if pictures:
        data["pictures"] = [str(path) for path in draw(found, pictures)]
    if json:
        emit_json(data)
    else:
        _show(data)


def _named(given: str) -> tuple[str, str]:
    """The class and the source of CLASS=FILE; a file, a folder or a pattern may be called so itself."""
    name, equals, path = given.partition("=")
    is_class = equals and name and "/" not in name and not Path(given).exists()
    return (name, path) if is_class else ("anomalous", given)


_COLUMNS = ("auc", "precision", "recall", "f1", "false_alarm_rate")


def _show(data: dict[str, Any]) -> None:
    """The figures as tables."""
    low, high = data["false_alarm_interval"]
    emit(
        f"{data['anomalous']:,} anomalous and {data['normal']:,} normal sequences, "
        f"{data['events']:,} events in {data['seconds']:.2f} s\n"
    )
    emit(
        f"false alarms: {data['false_alarms']:,}, {data['false_alarm_rate']:.3%} ({low:.3%} to {high:.3%}), "
        f"asked for at most {data['rate']:.3%}, by {data['calibration_sequences']:,} calibration sequences\n"
    )
    if not data["rate_holds"]:
        say(_broken(data), style="yellow")
    low, high = data["auc_interval"]
    emit(f"AUC {data['auc']:.4f} ({low:.4f} to {high:.4f})\n\n")
    _table("", data)
    emit("\n")
    _table("each distinct one once", data["deduplicated"])
    if len(data["classes"]) > 1:
        emit("\nrecall by class\n")
        for name, found in data["classes"].items():
            emit(f"{name:<24}{found['recall']:>10.4f}  {found['caught']:,} of {found['of']:,}\n")


def _broken(data: dict[str, Any]) -> str:
    """That more is flagged than was asked for, why, and what to do."""
    most, count = next(iter(data["false_alarms_by"].items()))
    return (
        f"the rate does not hold: so many calibration sequences allow up to {data['rate_interval'][1]:.3%} "
        "of sequences like those that it learned from. What is called normal here is not like them: "
        f"'{most}' speaks most in {count:,} of the {data['false_alarms']:,}. Learn from data like these, or "
        "say what was normal with `onward watch ok`"
    )


def _table(title: str, data: dict[str, Any]) -> None:
    """The detector above its baselines."""
    emit(f"{title:<24}" + "".join(f"{name:>18}" for name in _COLUMNS) + "\n")
    for name, figures in {"detector": data, **data["baselines"]}.items():
        cells = (figures[column] for column in _COLUMNS)
        emit(f"{name:<24}" + "".join(f"{'none' if c is None else f'{c:.4f}':>18}" for c in cells) + "\n")
