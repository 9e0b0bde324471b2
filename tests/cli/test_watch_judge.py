"""`onward watch judge`, as a user runs it."""

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
    "ngram_mean", "stide",
}  # fmt: skip


@pytest.fixture
def labelled(tmp_path: Path) -> list[str]:
    """Options for 60 normal sessions, 3 with an event too early, and 2 that were cut short."""
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


def test_the_figures_as_json(onward: Command, watching: Path, labelled: list[str]) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert set(found) == FIGURES | {
        "rate", "calibration_sequences", "rate_interval", "rate_holds", "false_alarms_by",
        "scale", "baselines", "deduplicated", "classes", "seconds", "events", "parts", "better",
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


def test_a_simple_detector_that_is_better_is_named(onward: Command, watching: Path, tmp_path: Path) -> None:
    """If normal and anomalous sequences swap their labels, almost anything is better."""
    chance = random.Random(7)
    (tmp_path / "usual.jsonl").write_text(rows([session(chance) for _ in range(20)]))
    (tmp_path / "odd.jsonl").write_text(rows([["start", "sync", "stop", "stop"], ["stop"] * 9]))
    ran = onward(
        "watch",
        "judge",
        watching,
        "--normal",
        tmp_path / "odd.jsonl",
        "--anomalous",
        tmp_path / "usual.jsonl",
    )
    assert ran.code == 0
    assert "AUC of each feature alone" in ran.out
    assert "alone is better than the detector: AUC 0." in ran.err
    given = ["--normal", tmp_path / "usual.jsonl", "--anomalous", tmp_path / "odd.jsonl"]
    assert "is better than the detector" not in onward("watch", "judge", watching, *given).err


@pytest.mark.parametrize("named", ["", "odd="])
def test_an_equals_sign_in_a_path_does_not_make_a_class(
    named: str, onward: Command, watching: Path, labelled: list[str], tmp_path: Path
) -> None:
    """Partitions of Hive are folders with such names."""
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
    assert ran.out.count("ngram_largest") == ran.out.count("detector") == 2
    assert "duplicates counted once" in ran.out
    assert "3 of 3" in ran.out
    assert "2 of 2" in ran.out
    assert max(map(len, ran.out.splitlines())) < 130


def test_plots_are_written(onward: Command, watching: Path, labelled: list[str], tmp_path: Path) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--pictures", tmp_path / "new" / "pictures", "--json")
    assert [Path(name).name for name in ran.json["pictures"]] == ["roc.png", "scores.png"]
    for name in ran.json["pictures"]:
        assert Path(name).read_bytes().startswith(b"\x89PNG")


def test_plots_need_a_folder(onward: Command, watching: Path, labelled: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = onward("watch", "judge", watching, *labelled, "--pictures", tmp_path / "file")
    assert ran.code == 1
    assert "cannot make" in ran.err
    assert "hint: name another folder" in ran.err


def test_the_precision_is_scaled_up_if_the_normal_sequences_are_a_sample(
    onward: Command, watching: Path, labelled: list[str]
) -> None:
    ran = onward("watch", "judge", watching, *labelled, "--scale", "6000", "--false-alarms", "10%", "--json")
    assert (ran.json["scale"], ran.json["rate"]) == (100.0, 0.1)
    assert ran.json["false_alarms"] > 0
    assert ran.json["precision"] == pytest.approx(5 / (5 + 100 * ran.json["false_alarms"]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "none.jsonl"),
        ("empty.jsonl", "", "empty.jsonl"),
        ("other.jsonl", '{"host": 1}\n', "event"),
    ],
)
def test_a_source_without_sequences_is_refused(
    name: str,
    content: str | None,
    message: str,
    onward: Command,
    watching: Path,
    labelled: list[str],
    tmp_path: Path,
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    ran = onward("watch", "judge", watching, *labelled[:2], "--anomalous", tmp_path / name)
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_is_not_a_detector_is_refused(onward: Command, labelled: list[str]) -> None:
    ran = onward("watch", "judge", labelled[1], *labelled)
    assert ran.code == 2
    assert "is not a complete" in ran.err


def test_anomalous_sequences_are_required(onward: Command, watching: Path, labelled: list[str]) -> None:
    assert onward("watch", "judge", watching, *labelled[:2]).code == 2


def test_a_warning_names_the_main_feature_if_there_are_too_many_false_alarms(
    onward: Command, watching: Path, labelled: list[str], tmp_path: Path
) -> None:
    """If normal behaviour has changed, the figures alone would look as if the guarantee did not hold."""
    path = tmp_path / "changed.jsonl"
    path.write_text(rows([["start", "read", "compact", "sync", "stop"]] * 20))
    ran = onward("watch", "judge", watching, "--normal", path, *labelled[2:])
    assert "more false alarms than the calibration allows" in ran.err
    assert "is the main feature of 20 of the 20 false alarms" in ran.err
    found = onward("watch", "judge", watching, "--normal", path, *labelled[2:], "--json").json
    assert not found["rate_holds"]
    assert sum(found["false_alarms_by"].values()) == 20


def test_there_is_no_warning_if_the_rate_holds(onward: Command, watching: Path, labelled: list[str]) -> None:
    assert "false alarms" not in onward("watch", "judge", watching, *labelled).err
