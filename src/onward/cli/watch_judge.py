"""`onward watch judge`: evaluates a detector on labelled sequences."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onward.cli.archive import (
    Address,
    EngineOption,
    Workers,
    engine_for,
    failed_files,
    report_failure,
    showing_progress,
)
from onward.cli.options import Json
from onward.cli.output import emit, emit_json, say
from onward.cli.watch_options import DetectorPath, FalseAlarms, TopKOption, rate_of

if TYPE_CHECKING:
    from onward.scale.archives.engine import ArchiveEngine
    from onward.scale.archives.read_sequences import ArchiveSequences
    from onward.watch.datasets import Dataset
    from onward.watch.detector import Detector


def judge(
    model: DetectorPath,
    normal: Annotated[list[str], typer.Option(help="Source of normal sequences.")],
    anomalous: Annotated[
        list[str],
        typer.Option(help="Source of anomalous sequences; CLASS=SOURCE also gives the recall of each class."),
    ],
    false_alarms: FalseAlarms = None,
    top_k: TopKOption = None,
    scale: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="--normal is a random part of N normal sequences. Estimate the precision for all N.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for plots: ROC curves and distributions of the scores.")
    ] = None,
    workers: Workers = None,
    engine: EngineOption = None,
    address: Address = None,
    json: Json = False,
) -> None:
    """Evaluate a detector on labelled sequences, and compare it with simple detectors.

    \b
    onward watch judge hdfs.onward --normal normal.gz --anomalous anomalous.gz --pictures .
    onward watch judge hdfs.onward --normal sample.gz --anomalous anomalous.gz --scale 553366
    onward watch judge app.onward --normal "logs/**/*.gz" --anomalous bad.log --workers 4

    With several workers, the files of a source are read at the same time.
    The records of a key stay together, also if they are in several files.
    """
    from onward.watch.detector import Detector  # noqa: PLC0415 - torch, which `--help` does without
    from onward.watch.evaluation.evaluate import evaluate  # noqa: PLC0415
    from onward.watch.evaluation.plots import draw_plots  # noqa: PLC0415
    from onward.watch.evaluation.summary import warnings  # noqa: PLC0415

    detector = Detector.load(model).with_rate(rate_of(false_alarms, top_k), top_k)
    reader = _Reader(detector, model, engine_for(workers, engine, address))
    normal_data = reader.read(normal)
    anomalous_data = [(name, reader.read([source])) for name, source in map(_class_and_source, anomalous)]
    classes: dict[str, list[list[str]]] = {}
    for name, data in anomalous_data:
        classes.setdefault(name, []).extend(data.events)
    evaluation = evaluate(detector, normal_data.events, classes, normal_in_all=scale)
    unreadable = [normal_data.unreadable, *(data.unreadable for _, data in anomalous_data)]
    for warning in warnings(detector, unreadable):
        say(warning, style="yellow")
    found = evaluation.to_json()
    if pictures:
        found["pictures"] = [str(path) for path in draw_plots(evaluation, pictures)]
    if json:
        emit_json(found)
    else:
        _print_evaluation(found)
    if reader.failed:
        raise failed_files(reader.failed, reader.files, "read")


class _Reader:
    """Reads the sequences of sources.

    With an engine, the error of a file is printed, and the other files are read.

    Attributes:
        files: number of files that the engine got.
        failed: number of files that could not be read.
    """

    def __init__(self, detector: "Detector", path: str, engine: "ArchiveEngine | None") -> None:
        self._detector, self._path, self._engine = detector, path, engine
        self.files = self.failed = 0

    def read(self, names: list[str]) -> "Dataset | ArchiveSequences":
        from onward.scale.archives.read_sequences import read_sequences  # noqa: PLC0415 - torch
        from onward.watch.datasets import load_sequences  # noqa: PLC0415
        from onward.watch.input.log_files import find_log_files  # noqa: PLC0415

        if self._engine is None:
            return load_sequences(self._detector, names)
        files = find_log_files(names)
        self.files += len(files)
        found = read_sequences(
            self._path,
            files,
            showing_progress(self._engine, "reading"),
            lambda error, file: report_failure(error, file, files),
        )
        self.failed += found.failed
        return found


def _class_and_source(value: str) -> tuple[str, str]:
    """Returns the class and the source of CLASS=SOURCE. The path of a file may contain "=" too."""
    name, equals, path = value.partition("=")
    is_class = equals and name and "/" not in name and not Path(value).exists()
    return (name, path) if is_class else ("anomalous", value)


_COLUMNS = ("auc", "precision", "recall", "f1", "false_alarm_rate")


def _print_evaluation(found: dict[str, Any]) -> None:
    low, high = found["false_alarm_interval"]
    emit(
        f"{found['anomalous']:,} anomalous and {found['normal']:,} normal sequences, "
        f"{found['events']:,} events in {found['seconds']:.2f} s"
    )
    emit(
        f"false alarms: {found['false_alarms']:,}, {found['false_alarm_rate']:.3%} "
        f"({low:.3%} to {high:.3%}), requested at most {found['rate']:.3%} "
        f"with {found['calibration_sequences']:,} calibration sequences"
    )
    if not found["rate_holds"]:
        say(_rate_warning(found), style="yellow")
    low, high = found["auc_interval"]
    emit(f"AUC {found['auc']:.4f} ({low:.4f} to {high:.4f})")
    emit()
    _print_table("", found)
    emit()
    _print_table("duplicates counted once", found["deduplicated"])
    emit()
    emit("AUC of each feature alone")
    for name, auc in found["parts"].items():
        emit(f"{name:<24}{auc:>18.4f}")
    if found["better"]:
        name, auc = next(iter(found["better"].items()))
        say(
            f"on these sequences, {name} alone is better than the detector: AUC {auc:.4f} instead of "
            f"{found['auc']:.4f}",
            style="yellow",
        )
    if len(found["classes"]) > 1:
        emit()
        emit("recall by class")
        for name, part in found["classes"].items():
            emit(f"{name:<24}{part['recall']:>10.4f}  {part['caught']:,} of {part['of']:,}")


def _rate_warning(found: dict[str, Any]) -> str:
    """Returns a warning that the rate of false alarms is exceeded, with its main reason and the remedy."""
    feature, count = next(iter(found["false_alarms_by"].items()))
    return (
        "more false alarms than the calibration allows: it allows at most "
        f"{found['rate_interval'][1]:.3%}. These normal sequences differ from the training sequences: "
        f"'{feature}' is the main feature of {count:,} of the {found['false_alarms']:,} false alarms. "
        "Learn again with such sequences, or mark them as normal with `onward watch ok`"
    )


def _print_table(title: str, found: dict[str, Any]) -> None:
    """Prints the figures of the detector and of the baselines, a row each."""
    emit(f"{title:<24}" + "".join(f"{name:>18}" for name in _COLUMNS))
    for name, figures in {"detector": found, **found["baselines"]}.items():
        cells = (figures[column] for column in _COLUMNS)
        emit(f"{name:<24}" + "".join(f"{'none' if c is None else f'{c:.4f}':>18}" for c in cells))
