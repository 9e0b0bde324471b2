from pathlib import Path

from onward.lesson import graph
from onward.lesson.rung import LessonSettings


def test_the_rung_draws_each_network(tmp_path: Path) -> None:
    outcome = graph.run(LessonSettings(pictures=tmp_path / "new", report=lambda _: None))
    assert outcome.figure == len(graph.PICTURES)
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in outcome.pictures)


def test_without_a_folder_the_rung_reports_what_to_do() -> None:
    lines: list[str] = []
    assert graph.run(LessonSettings(report=lines.append)).pictures == ()
    assert "--pictures" in lines[0]
