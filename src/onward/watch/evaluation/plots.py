"""Plots of an evaluation: ROC curves, and the distributions of the scores."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from onward.atomic import atomic_write
from onward.errors import WriteError
from onward.watch.evaluation.evaluate import DETECTOR, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DETECTOR_COLOUR, _NORMAL_COLOUR, _QUIET_COLOUR = "#d55e00", "#0072b2", "#6b6b73"
_BASELINE_COLOURS = {
    "new_event": "#0072b2",
    "new_bigram": "#009e73",
    "length_range": "#cc79a7",
    "count_vector": "#56b4e9",
    "ngram_largest": "#8a6d00",
    "ngram_mean": "#555555",
}
_SHOWN_QUANTILE, _BINS = 0.995, 60


def draw_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes roc.png and scores.png into a folder, which is created if needed.

    Raises:
        WriteError: the folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"cannot make {folder}: {error.strerror}", hint="name another folder with --pictures"
        ) from error
    return [
        _write(_draw_roc(evaluation), folder / "roc.png"),
        _write(_draw_distributions(evaluation), folder / "scores.png"),
    ]


def _new_figure(width: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second, and `onward --help` does not need it

    figure = Figure(figsize=(width, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw_roc(evaluation: Evaluation) -> "Figure":
    """Draws ROC curves with a logarithmic axis of false alarms, because small rates matter."""
    figure, axes = _new_figure(9.5)
    own = evaluation.detector
    smallest = 0.5 / own.normal
    for name, colour in _BASELINE_COLOURS.items():
        label = f"{name.replace('_', ' ')}, AUC {evaluation.figures[name].auc:.4f}"
        curve = _roc_curve(*evaluation.scored.by_label(name), smallest)
        axes.plot(*curve, drawstyle="steps-post", color=colour, linewidth=1.1, label=label)
    curve = _roc_curve(*evaluation.scored.by_label(DETECTOR), smallest)
    label = f"detector, AUC {own.auc:.4f}"
    axes.plot(*curve, drawstyle="steps-post", color=_DETECTOR_COLOUR, linewidth=2.2, label=label)
    point = [max(own.false_alarm_rate, smallest)], [own.recall]
    axes.plot(*point, "o", color=_DETECTOR_COLOUR, markersize=7, label="detector at its threshold")
    axes.axvline(
        evaluation.rate, color=_QUIET_COLOUR, linewidth=0.9, linestyle=":", label="requested false-alarm rate"
    )
    axes.set(
        xscale="log",
        xlim=(smallest, 1),
        ylim=(0, 1.02),
        xlabel="false alarms, share of normal sequences",
        ylabel="recall, share of anomalous sequences",
    )
    figure.legend(frameon=False, fontsize=8.5, loc="outside right upper")  # inside, it would cover a curve
    return figure


def _roc_curve(normal: np.ndarray, anomalous: np.ndarray, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the shares of normal and anomalous sequences at or above each score, from the highest down."""
    cuts = np.unique(np.concatenate([normal, anomalous]))[::-1]
    shares = [1 - np.searchsorted(np.sort(s), cuts, side="left") / len(s) for s in (normal, anomalous)]
    return np.maximum(np.append(0.0, shares[0]), smallest), np.append(0.0, shares[1])


def _draw_distributions(evaluation: Evaluation) -> "Figure":
    """Draws histograms of the scores of normal and of anomalous sequences, as shares of each."""
    figure, axes = _new_figure(7.5)
    normal, anomalous = evaluation.scored.by_label(DETECTOR)
    highest = float(np.quantile(np.concatenate([normal, anomalous]), _SHOWN_QUANTILE))
    bins = np.linspace(0, max(highest, 1e-6), _BINS)
    for scores, colour, name in (
        (normal, _NORMAL_COLOUR, "normal"),
        (anomalous, _DETECTOR_COLOUR, "anomalous"),
    ):
        weights = np.full(len(scores), 1 / len(scores))
        shown = np.minimum(scores, bins[-1])
        label = f"{name}, {len(scores):,}"
        axes.hist(shown, bins.tolist(), weights=weights, color=colour, alpha=0.55, label=label)
    threshold = evaluation.detector.threshold
    if np.isfinite(threshold):
        label = f"threshold for {evaluation.rate:.2%} false alarms"
        axes.axvline(threshold, color=_QUIET_COLOUR, linestyle=":", label=label)
    axes.set(
        yscale="log",
        xlabel="score (higher is more unusual; the last bar has all higher scores)",
        ylabel="share of normal or anomalous sequences",
    )
    axes.legend(frameon=False, fontsize=9)
    return figure


def _write(figure: "Figure", path: Path) -> Path:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    with atomic_write(path) as file:
        file.write(content.getvalue())
    return path
