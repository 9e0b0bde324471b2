"""`onward watch judge` as a user has it."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sessions import rows, session

Command = Callable[..., Any]
FIGURES = {
    "auc", "auc_interval", "precision", "recall", "recall_interval", "f1", "false_alarm_rate",
    "false_alarm_interval", "threshold", "caught", "anomalous", "false_alarms", "normal",
}  # fmt: skip
BASELINES = {
    "new_event", "new_bigram", "length_range", "bigram_or_length", "count_vector", "ngram_largest",
    "ngram_mean",
}  # fmt: skip


@pytest.fixture
def labelled(tmp_path: Path) -> list[str]:
    """60 normal sessions; 3 with an event too early, and 2 that are cut, as options."""
    chance = random.Random(7)
    contents = {
        "normal": [session(chance) for _ in range(60)],
        "early": [["start", "sync", "read", "stop"]] * 3,
        "cut": [["start", "read"], ["start"]],
    }
    for name, sessions in contents.items():
        (tmp_path / f"{name}.jsonl").write_text(rows(sessions))
    classes = [f"--anomalous={name}={tmp_path / f'{name}.jsonl'}" for name in ("early", "cut")]
    return ["--normal", str(tmp_path / "normal.jsonl"), *classes]


def test_the_figures_in_json(onward: Command, watching: Path, labelled: list[str]) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert set(found) == FIGURES | {
        "rate", "calibration_sequences", "rate_interval", "rate_holds", "false_alarms_by",
        "scale", "baselines", "deduplicated", "classes", "seconds", "events",
    }  # fmt: skip
    assert (found["normal"], found["anomalous"], found["rate"]) == (60, 5, 0.02)
    assert found["auc"] > 0.95 and found["recall"] == 1.0 and found["caught"] == 5
    assert found["false_alarm_rate"] == found["false_alarms"] / 60
    assert found["precision"] == pytest.approx(5 / (5 + found["false_alarms"]))
    assert found["f1"] == pytest.approx(2 * found["precision"] / (found["precision"] + 1))
    assert set(found["baselines"]) == BASELINES
    assert all(set(figures) == FIGURES for figures in found["baselines"].values())
    assert found["baselines"]["new_event"]["recall"] == 0.0
    assert found["baselines"]["new_bigram"]["recall"] == 1.0
    assert found["classes"]["early"] == {"caught": 3, "of": 3, "recall": 1.0}
    assert found["deduplicated"]["anomalous"] == 3
    assert set(found["deduplicated"]["baselines"]) == BASELINES


@pytest.mark.parametrize("named", ["", "odd="])
def test_a_path_with_an_equals_sign_is_no_class(
    named: str, onward: Command, watching: Path, labelled: list[str], tmp_path: Path
) -> None:
    """Hive's partitions are folders of such names."""
    path = tmp_path / "dt=2026-01-01" / "x.jsonl"
    path.parent.mkdir()
    path.write_text(rows([["start", "sync", "read", "stop"]] * 3))
    given = [*labelled[:2], f"--anomalous={named}{path}"]
    ran = onward("watch", "judge", watching, *given, "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json["classes"]) == [named.removesuffix("=") or "anomalous"]
    folder = onward("watch", "judge", watching, *labelled[:2], f"--anomalous={named}{path.parent}", "--json")
    assert folder.json["classes"] == ran.json["classes"]
    given = [*labelled[:2], f"--anomalous={named}{path.parent}/*.jsonl"]
    assert onward("watch", "judge", watching, *given, "--json").json["classes"] == ran.json["classes"]


def test_the_figures_as_tables(onward: Command, watching: Path, labelled: list[str]) -> None:
    ran = onward("watch", "judge", watching, *labelled)
    assert ran.code == 0
    assert "5 anomalous and 60 normal sequences" in ran.out
    assert ran.out.count("ngram_largest") == 2 and ran.out.count("detector") == 2
    assert "each distinct one once" in ran.out
    assert "3 of 3" in ran.out and "2 of 2" in ran.out
    assert max(map(len, ran.out.splitlines())) < 130


def test_pictures_are_written(onward: Command, watching: Path, labelled: list[str], tmp_path: Path) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--pictures", tmp_path / "new" / "pictures", "--json")
    assert [Path(name).name for name in ran.json["pictures"]] == ["roc.png", "scores.png"]
    for name in ran.json["pictures"]:
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").touch()
    ran = onward("watch", "judge", watching, *labelled, "--pictures", tmp_path / "file")
    assert ran.code == 1 and "cannot make" in ran.err and "hint: name another folder" in ran.err


def test_precision_is_that_of_all_where_the_normal_ones_are_a_sample(
    onward: Command, watching: Path, labelled: list[str]
) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--scale", "6000", "--false-alarms", "10%", "--json")
    assert ran.json["scale"] == 100.0 and ran.json["rate"] == 0.1
    assert ran.json["false_alarms"] > 0
    assert ran.json["precision"] == pytest.approx(5 / (5 + 100 * ran.json["false_alarms"]))


def test_what_cannot_be_judged_is_told(
    onward: Command, watching: Path, labelled: list[str], tmp_path: Path
) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "other.jsonl").write_text('{"host": 1}\n')
    normal = labelled[1]
    for wrong, told in (
        ("none.jsonl", "none.jsonl"),
        ("empty.jsonl", "empty.jsonl"),
        ("other.jsonl", "there is no column 'event'"),
    ):
        ran = onward("watch", "judge", watching, "--normal", normal, "--anomalous", tmp_path / wrong)
        assert ran.code in (1, 2) and told in ran.err and "Traceback" not in ran.err
    ran = onward("watch", "judge", normal, *labelled)
    assert ran.code == 2 and "is not a complete" in ran.err
    assert onward("watch", "judge", watching, "--normal", normal).code == 2


def test_a_rate_that_does_not_hold_is_said_with_what_speaks(
    onward: Command, watching: Path, labelled: list[str], tmp_path: Path
) -> None:
    """Where what is normal has changed, a figure alone would be read as the detector's word broken."""
    changed = [["start", "read", "compact", "sync", "stop"]] * 20
    path = tmp_path / "changed.jsonl"
    path.write_text(rows(changed))
    ran = onward("watch", "judge", watching, "--normal", path, *labelled[2:])
    assert "the rate does not hold" in ran.err and "speaks most in 20 of the 20" in ran.err
    found = onward("watch", "judge", watching, "--normal", path, *labelled[2:], "--json").json
    assert not found["rate_holds"] and sum(found["false_alarms_by"].values()) == 20
    held = onward("watch", "judge", watching, *labelled)
    assert "does not hold" not in held.err
