import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from onward.training.curves import draw_curves, last_run, running_mean, short_count


def write_log(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def stepped(step: int, nats: float = 2.0) -> dict[str, Any]:
    return {"event": "stepped", "step": step, "symbols": step * 8, "nats_per_symbol": nats}


@pytest.mark.parametrize("steps", [0, 1, 2, 300])
def test_runs_of_any_length_are_drawn(steps: int, tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [{"event": "started", "step": 0}]
    for step in range(1, steps + 1):
        events.append(stepped(step, 1 + 3 / step))
        events.append({"event": "epochstarted", "epoch": step, "step": step - 1})
        events.append({"event": "validated", "step": step, "nats_per_symbol": 1.5})
    draw_curves(
        write_log(tmp_path / "log", events), tmp_path / "png", title="a [title] of $1_000 and \\frac{$ \udcff"
    )
    assert (tmp_path / "png").read_bytes().startswith(b"\x89PNG")


def test_held_out_losses_that_rise_are_visible_to_their_end(tmp_path: Path) -> None:
    events = [stepped(step, 1 + 3 / step) for step in range(1, 301)]
    losses = {30: 2.0, 60: 1.6, 90: 1.5, 150: 2.5, 225: 4.0, 300: 6.0}
    events += [{"event": "validated", "step": step, "nats_per_symbol": nats} for step, nats in losses.items()]
    draw_curves(write_log(tmp_path / "log", events), tmp_path / "png", title="overfit")
    picture = imread(tmp_path / "png")[:, :, :3] * 255
    red = np.abs(picture - np.array([0xC2, 0x41, 0x0C])).max(axis=2) < 20
    rows, columns = red.nonzero()
    line_end = columns.max()
    assert line_end > 0.85 * picture.shape[1]
    assert rows[columns > line_end - 20].max() < 0.3 * picture.shape[0]  # at the top, on the right


def test_lines_that_are_not_events_are_left_out(tmp_path: Path) -> None:
    others = [
        "", "x", "[" * 5000, "3", "[]", "{}", '{"event": []}', '{"event": "stepped", "step": 1e9}',
        '{"event": "stepped", "step": 1, "symbols": 8, "nats_per_symbol": NaN}',
        '{"event": "stepped", "step": 2, "symbols": 8, "nats_per_symbol": 1e999}', "\x1b[2J",
        '{"event": "stepped"', '{"event": "rolledback", "to": -1}',
        '{"event": "stepped"}', '{"event": "validated", "step": 3}', '{"event": "epochstarted", "epoch": 5}',
    ]  # fmt: skip
    log = write_log(tmp_path / "log", [stepped(i) for i in (1, 2, 3)])
    log.write_text(log.read_text() + "\n".join(others) + "\n")
    losses = [event for event in last_run(log) if event.nats_per_symbol is not None]
    assert [event.step for event in losses] == [1, 2, 3]
    draw_curves(log, tmp_path / "png", title="damaged")
    assert (tmp_path / "png").exists()


def test_repeated_steps_are_drawn_once(tmp_path: Path) -> None:
    killed = [{"event": "started", "step": 0}, *(stepped(i, 9.0) for i in (1, 2, 3))]
    resumed = [{"event": "started", "step": 1}, *(stepped(i) for i in (2, 3, 4))]
    back = [{"event": "rolledback", "step": 5, "to": 3}, *(stepped(i, 1.0) for i in (4, 5))]
    kept = last_run(write_log(tmp_path / "log", killed + resumed + back))
    found = [(event.step, event.nats_per_symbol) for event in kept if event.event == "stepped"]
    assert found == [(1, 9.0), (2, 2.0), (3, 2.0), (4, 1.0), (5, 1.0)]


def test_the_running_mean_keeps_a_level_and_smooths_noise() -> None:
    where = np.cumsum(np.r_[np.full(40, 1.0), np.full(200, 10.0)])
    assert np.allclose(running_mean(where, np.full(240, 2.5)), 2.5)
    noise = np.random.default_rng(0).normal(size=240)
    assert running_mean(where, noise).std() < 0.7 * noise.std()


@pytest.mark.parametrize(("value", "short"), [(0, "0"), (800, "800"), (2.4e6, "2.4 M"), (8e5, "800 k")])
def test_counts_are_short(value: float, short: str) -> None:
    assert short_count(float(value)) == short
