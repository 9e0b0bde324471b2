"""Pictures of a judgement: ROC curves, and how the scores of both kinds are distributed."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from onward.atomic import atomic_write
from onward.errors import WriteError
from onward.watch.evaluation.evaluate import Judgement

_OWN, _OTHERS = "#d55e00", ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#555555", "#999999")
_SHOWN = ("new_event", "new_bigram", "length_range", "count_vector", "ngram_largest", "ngram_mean")
_QUIET = "#6b6b73"


def draw(judgement: Judgement, folder: Path) -> list[Path]:
    """Writes roc.png and scores.png into a folder, which is made where it is missing.

    Raises:
        WriteError: the disk refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"cannot make {folder}: {error.strerror}", hint="name another folder with --pictures"
        ) from error
    return [
        _written(_roc(judgement), folder / "roc.png"),
        _written(_distributions(judgement), folder / "scores.png"),
    ]


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415 - a second to import, and `onward --help` does without

    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _roc(judgement: Judgement) -> Any:
    """False alarms on a logarithmic axis, since it is the rare ones that count."""
    figure, axes = _figure()
    smallest = 0.5 / len(judgement.normal)
    curves = {name: (judgement.baseline_scores[name], judgement.baselines[name].auc) for name in _SHOWN}
    for (name, (scores, auc)), colour in zip(curves.items(), _OTHERS, strict=False):
        x, y = _curve(*scores, smallest)
        axes.plot(
            x,
            y,
            drawstyle="steps-post",
            color=colour,
            linewidth=1.1,
            label=f"{name.replace('_', ' ')}, AUC {auc:.4f}",
        )
    x, y = _curve(judgement.normal, judgement.anomalous, smallest)
    own = judgement.figures
    axes.plot(x, y, drawstyle="steps-post", color=_OWN, linewidth=2.2, label=f"detector, AUC {own.auc:.4f}")
    alarms = max(own.flagged[1] / own.of[1], smallest)
    axes.plot([alarms], [own.recall], "o", color=_OWN, markersize=7, label="at its threshold")
    axes.axvline(judgement.rate, color=_QUIET, linewidth=0.9, linestyle=":", label="false alarms asked for")
    axes.set(
        xscale="log", xlim=(smallest, 1), ylim=(0, 1.02), xlabel="false alarms, share of normal sequences"
    )
    axes.set_ylabel("recall, share of anomalous sequences")
    figure.set_size_inches(9.5, 5)
    figure.legend(frameon=False, fontsize=8.5, loc="outside right upper")  # no curve lies below it
    return figure


def _curve(normal: np.ndarray, anomalous: np.ndarray, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of both that are at or above each score, from the highest down."""
    cuts = np.unique(np.concatenate([normal, anomalous]))[::-1]
    shares = [1 - np.searchsorted(np.sort(s), cuts, side="left") / len(s) for s in (normal, anomalous)]
    return np.maximum(np.append(0.0, shares[0]), smallest), np.append(0.0, shares[1])


def _distributions(judgement: Judgement) -> Any:
    """Histograms of the scores of both kinds, as shares of each."""
    figure, axes = _figure()
    highest = float(np.quantile(np.concatenate([judgement.normal, judgement.anomalous]), 0.995))
    bins = np.linspace(0, max(highest, 1e-6), 60)
    for scores, colour, name in (
        (judgement.normal, "#0072b2", "normal"),
        (judgement.anomalous, _OWN, "anomalous"),
    ):
        weights = np.full(len(scores), 1 / len(scores))
        shown = np.minimum(scores, bins[-1])
        axes.hist(shown, bins, weights=weights, color=colour, alpha=0.55, label=f"{name}, {len(scores):,}")
    if np.isfinite(judgement.figures.threshold):
        told = f"threshold for {judgement.rate:.2%} false alarms"
        axes.axvline(judgement.figures.threshold, color=_QUIET, linestyle=":", label=told)
    axes.set(yscale="log", xlabel="score (higher is stranger; the last bar holds all beyond)")
    axes.set_ylabel("share of the sequences of its kind")
    axes.legend(frameon=False, fontsize=9)
    return figure


def _written(figure: Any, path: Path) -> Path:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    with atomic_write(path) as file:
        file.write(content.getvalue())
    return path
