"""Runs rungs, and returns their figures together with the lesson's figures and the targets."""

import time
from typing import Any

import torch

from onward.errors import OnwardError
from onward.lesson.ladder import MODULES, module_of
from onward.lesson.rung import LessonSettings


def run_rung(name: str, settings: LessonSettings) -> dict[str, Any]:
    """Runs a rung and returns its figures as plain values.

    Raises:
        InputError: there is no such rung.
        OnwardError: the rung cannot run, for instance because its data are missing.
    """
    module = module_of(name)
    rung = module.RUNG
    settings.report(f"{rung.name}: {rung.new}")
    torch.set_num_threads(rung.threads)
    started = time.monotonic()
    outcome = module.run(settings)
    comparable = settings.share >= 1 and outcome.text == rung.text
    if outcome.text != rung.text:
        settings.report(
            f"{rung.text} is not available, so {outcome.text} was used: the lesson's figures do not apply"
        )
        settings.report(f"put it at $ONWARD_DATA/{rung.text}/{rung.text}.txt, or go online to download it")
    return {
        "rung": rung.name,
        "measure": rung.measure,
        "lesson": rung.lesson,
        "target": rung.target,
        "figure": outcome.figure,
        "reached": None
        if rung.target is None or not comparable
        else outcome.figure <= rung.target and outcome.holds,
        "held_out": outcome.held_out,
        "text": outcome.text,
        "seconds": round(time.monotonic() - started, 1),
        "details": outcome.details,
        "pictures": [str(picture) for picture in outcome.pictures],
    }


def run_all(settings: LessonSettings) -> list[dict[str, Any]]:
    """Runs all rungs from the bottom up. If a rung cannot run, its row contains the error."""
    rows = []
    for name in MODULES:
        try:
            rows.append(run_rung(name, settings))
        except OnwardError as error:
            settings.report(f"{name}: {error}; {error.hint}")
            rung = module_of(name).RUNG
            rows.append(
                {"rung": name, "measure": rung.measure, "lesson": rung.lesson, "target": rung.target}
                | {"figure": None, "reached": None, "held_out": None, "text": "", "seconds": 0.0}
                | {"details": {"error": str(error)}, "pictures": []}
            )
    return rows
