"""Running a rung: what it found beside what the lesson printed and what ours must be."""

import time
from typing import Any

import torch

from onward.errors import OnwardError
from onward.lesson.ladder import MODULES, module_of
from onward.lesson.rung import LessonSettings


def climb(name: str, settings: LessonSettings) -> dict[str, Any]:
    """Runs a rung; its figures as plain values.

    Raises:
        InputError: there is no such rung.
        OnwardError: it cannot run here, for want of its data.
    """
    module = module_of(name)
    rung = module.RUNG
    settings.say(f"{rung.name}: {rung.new}")
    torch.set_num_threads(rung.threads)
    started = time.monotonic()
    outcome = module.run(settings)
    comparable = settings.share >= 1 and outcome.text == rung.text
    if outcome.text != rung.text:
        settings.say(f"{rung.text} is not at hand, this is {outcome.text}: the lesson's figures do not apply")
        settings.say(f"put it at $ONWARD_DATA/{rung.text}, or let `onward train {rung.text}` fetch it")
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


def climb_all(settings: LessonSettings) -> list[dict[str, Any]]:
    """Runs every rung, from the bottom up; one that cannot run here has its error in its row."""
    rows = []
    for name in MODULES:
        try:
            rows.append(climb(name, settings))
        except OnwardError as error:
            settings.say(f"{name}: {error}; {error.hint}")
            rung = module_of(name).RUNG
            rows.append(
                {"rung": name, "measure": rung.measure, "lesson": rung.lesson, "target": rung.target}
                | {"figure": None, "reached": None, "held_out": None, "text": "", "seconds": 0.0}
                | {"details": {"error": str(error)}, "pictures": []}
            )
    return rows
