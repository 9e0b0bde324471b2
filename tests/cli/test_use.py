"""`onward write`, `score`, `novelty`, `info` and `draw` on a model and on real files."""

import itertools
import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import TEXT, Command


def test_write_prints_the_prime_and_the_text(onward: Command, model: Path) -> None:
    ran = onward("write", model, "--prime", "the state ", "--length", "30", "--temperature", "0")
    assert ran.code == 0
    assert ran.out.startswith("the state ")
    assert len(ran.out) == len("the state ") + 30
    assert "30 symbols in" in ran.err


def test_write_is_the_same_for_the_same_seed_only(onward: Command, model: Path) -> None:
    first, again, other = (
        onward("write", model, "--length", "60", "--seed", seed, "--temperature", "3").out
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_write_json_has_the_documented_fields(onward: Command, model: Path) -> None:
    written = onward("write", model, "--prime", "the ", "--length", "20", "--samples", "3", "--json").json
    assert {"text", "symbols", "seconds"} <= set(written)
    assert written["symbols"] == len(written["text"]) == 20
    assert [len(sample["text"]) for sample in written["samples"]] == [
        sample["symbols"] for sample in written["samples"]
    ]
    assert len(written["samples"]) == 3


def test_write_ends_before_a_stop_string(onward: Command, model: Path) -> None:
    out = onward("write", model, "--prime", "the lane", "--stop", ",", "--stop", ".", "--length", "500").out
    assert not {",", "."} & set(out)
    assert len(out) < 500


@pytest.mark.parametrize(
    "options",
    [["--temperature", "-1"], ["--top-k", "0"], ["--top-p", "1.5"], ["--min-p", "2"], ["--samples", "0"]],
    ids=" ".join,
)
def test_write_refuses_options_out_of_range(onward: Command, model: Path, options: list[str]) -> None:
    ran = onward("write", model, *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")


def test_write_ends_quietly_when_the_reader_of_the_pipe_ends(process: Callable, model: Path) -> None:
    child = process("write", model, "--length", "100000")
    assert child.stdout.read(10)
    child.stdout.close()
    said = child.stderr.read()
    assert child.wait(timeout=60) == 141  # the exit code that a shell reports after SIGPIPE
    assert b"error" not in said
    assert b"Traceback" not in said
    assert b"Exception" not in said


@pytest.mark.parametrize(
    ("options", "protocol"),
    [((), "streaming"), (("--cold", "64"), "cold-64"), (("--lanes", "3"), "streaming")],
)
def test_score_json_has_the_documented_fields(
    onward: Command, model: Path, text: Path, options: tuple[str, ...], protocol: str
) -> None:
    scored = onward("score", model, text, *options, "--json").json
    assert (scored["symbols"], scored["protocol"]) == (len(TEXT), protocol)
    assert scored["bits_per_symbol"] == pytest.approx(scored["nats_per_symbol"] / math.log(2))


@pytest.mark.parametrize("per", ["line", "symbol"])
def test_score_per_line_and_symbol_add_up_to_the_total(
    onward: Command, model: Path, text: Path, per: str
) -> None:
    total = onward("score", model, text, "--json").json
    header, *rows = onward("score", model, text, "--per", per).out.splitlines()
    names = header.split("\t")
    cells = [dict(zip(names, row.split("\t"), strict=True)) for row in rows]
    sizes = [int(row.get("symbols", 1)) for row in cells]
    nats = [float(row.get("nats") or row["nats_per_symbol"]) for row in cells]
    assert sum(sizes) == total["symbols"]
    mean = sum(size * each for size, each in zip(sizes, nats, strict=True)) / sum(sizes)
    assert mean == pytest.approx(total["nats_per_symbol"], abs=1e-4)


def test_score_reads_standard_input(onward: Command, model: Path, text: Path) -> None:
    piped = onward("score", model, "-", "--json", data=text.read_bytes()).json
    assert piped["nats_per_symbol"] == onward("score", model, text, "--json").json["nats_per_symbol"]


def test_score_writes_a_page(onward: Command, model: Path, text: Path, tmp_path: Path) -> None:
    page = tmp_path / "surprise.html"
    ran = onward("score", model, text, "--html", page, "--json")
    assert ran.json["html"] == str(page)
    assert "</html>" in page.read_text(encoding="utf-8")


def test_score_of_an_empty_file_is_refused(onward: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    ran = onward("score", model, tmp_path / "empty")
    assert (ran.code, ran.out) == (2, "")


def test_novelty_finds_copied_text(onward: Command, text: Path, tmp_path: Path) -> None:
    copied = TEXT[5:45]
    (tmp_path / "new.txt").write_text(f"0123456789{copied}9876543210")
    found = onward("novelty", tmp_path / "new.txt", "--corpus", text, "--json").json
    assert found["spans"][0]["text"] == copied
    assert found["share"] == pytest.approx(40 / 60)


@pytest.mark.parametrize("as_json", [False, True])
def test_info_shows_architecture_vocabulary_training_and_hashes(
    onward: Command, model: Path, as_json: bool
) -> None:
    ran = onward("info", model, *(["--json"] if as_json else []))
    assert ran.code == 0
    for part in ("parameters", "vocabulary", "recipe", "steps", "sha256"):
        assert part in ran.out


def test_a_model_that_remembers_its_text_shows_it(onward: Command, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onward"
    assert onward("train", text, "-o", path, "--recipe", "tiny", "--steps", "2", "--remember").code == 0
    assert onward("info", path, "--json").json["remembered"]["symbols"] > 0
    assert "remembered" in onward("info", path).out
    alone, remembering = (
        onward("score", path, text, *options, "--json").json["bits_per_symbol"]
        for options in (("--exact",), ("--learn", "memory"))
    )
    assert remembering < 0.7 * alone
    assert onward("complete", path, "--prime", text.read_text()[:7], "--json").code == 0


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_draw_writes_a_picture(onward: Command, model: Path, tmp_path: Path, suffix: str) -> None:
    picture = tmp_path / f"graph.{suffix}"
    assert onward("draw", model, "-o", picture).code == 0
    assert picture.read_bytes()[:4] in (b"<?xm", b"<svg", b"\x89PNG")


def test_a_letter_means_the_same_option_in_every_command(onward: Command) -> None:
    letters: dict[str, set[str]] = {}
    for command in ("train", "write", "score", "novelty"):
        words = onward(command, "--help").out.split()
        for long, short in itertools.pairwise(words):
            if long.startswith("--") and short.startswith("-") and len(short) == 2:
                letters.setdefault(short, set()).add(long)
    assert letters
    assert all(len(options) == 1 for options in letters.values()), letters


def test_score_warns_about_unknown_symbols(onward: Command, model: Path, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "strange.txt"
    path.write_text("\u4e2d" * 30 + "the")
    ran = onward("score", model, path)
    assert "the model does not know 30 of 33 symbols" in ran.err
    assert "unknown" not in onward("score", model, text).err
    assert "the model does not know" in onward("score", model, path, "--json").err


def test_write_reports_its_time_in_milliseconds(onward: Command, model: Path) -> None:
    assert re.search(r"^10 symbols in \d+ ms$", onward("write", model, "--length", "10").err, re.MULTILINE)


def test_markup_in_a_path_is_shown_as_text(onward: Command, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("# onward, a note\n" * 20)
    said = onward("info", path).err
    assert "it begins with '# onward'" in said
    path.write_bytes(b"\xff\xfe\x00\x01\x02\x03\x04\x05" * 9)
    assert "it begins with the bytes ff fe 00 01" in onward("info", path).err


@pytest.mark.slow
def test_a_short_output_ends_quietly_when_the_reader_of_the_pipe_ends(process: Callable, model: Path) -> None:
    end, start = os.pipe()
    os.close(end)
    child = process("info", model, stdout=start)
    os.close(start)
    said = child.communicate(timeout=60)[1]
    assert (child.returncode, said) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["write", "info"])
@pytest.mark.slow
def test_a_full_disk_behind_standard_output_is_an_error(process: Callable, model: Path, command: str) -> None:
    with Path("/dev/full").open("wb") as full:
        child = process(command, model, stdout=full)
        said = child.communicate(timeout=60)[1].decode()
    assert child.returncode == 1
    assert "error: cannot write to standard output: No space left on device" in said
    assert "hint: " in said


def test_score_per_file_has_a_row_for_each_file(
    onward: Command, model: Path, text: Path, tmp_path: Path
) -> None:
    (tmp_path / "b.txt").write_text("the lane \u4e2d")
    (tmp_path / "empty.txt").touch()
    ran = onward("score", model, text, tmp_path / "b.txt", tmp_path / "empty.txt", "--per", "file")
    assert ran.code == 0
    header, *rows = (line.split("\t") for line in ran.out.splitlines())
    assert header == ["file", "symbols", "nats_per_symbol", "bits_per_symbol", "unknown"]
    assert [row[0] for row in rows] == [str(text), str(tmp_path / "b.txt")]
    alone = onward("score", model, text, "--json").json
    assert (rows[0][1], rows[0][2]) == (str(len(TEXT)), f"{alone['nats_per_symbol']:.4f}")
    assert (rows[1][1], rows[1][4]) == ("10", "1")
    both = onward("score", model, "-", tmp_path / "b.txt", "--per", "file", "--json", data=b"the state").json
    assert [row["file"] for row in both["files"]] == ["-", str(tmp_path / "b.txt")]
    assert both["symbols"] == 19


def test_the_picture_is_named_after_the_model(
    onward: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert onward("draw", model).code == 0
    assert b"<svg" in (tmp_path / f"{model.stem}.svg").read_bytes()


def test_commands_for_text_refuse_a_detector(onward: Command, watching: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("start read stop")
    for given in (
        ("write", watching),
        ("complete", watching, "--prime", "start"),
        ("score", watching, tmp_path / "text"),
    ):
        ran = onward(*given)
        assert (ran.code, ran.out) == (2, ""), given
        assert "is a detector, which models events, not text" in ran.err
        assert "onward watch run" in ran.err.partition("hint: ")[2]
