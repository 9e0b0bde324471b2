import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.corpus import Corpus, decode, find_sources, read_bytes
from onward.errors import CorpusError, WriteError


def put(folder: Path, **contents: str | bytes) -> Path:
    for name, content in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def names(corpus: Corpus, folder: Path) -> list[str]:
    return [document.relative_to(folder).as_posix() for document in corpus.documents]


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_files_keep_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    put(tmp_path, b="second", a="first")
    corpus = find_sources([tmp_path / "b", str(tmp_path / "a")])
    assert names(corpus, tmp_path) == ["b", "a"]
    assert corpus.size == 11
    assert corpus.name == f"{tmp_path / 'b'}, {tmp_path / 'a'}"


def test_many_sources_have_a_short_name(tmp_path: Path) -> None:
    put(tmp_path, a="a", b="b", c="c", d="d")
    paths = sorted(tmp_path.iterdir())
    assert find_sources(paths).name == f"{paths[0]} and 3 more"
    assert find_sources(paths[:3]).name == ", ".join(map(str, paths[:3]))


def test_a_folder_yields_its_text_files_at_any_depth(tmp_path: Path) -> None:
    put(tmp_path, z="z", a__b="ab", a__a="aa", binary=b"PK\0", empty="")
    put(tmp_path / ".git", config="hidden")
    put(tmp_path / "a", **{".hidden": "hidden"})
    corpus = find_sources([tmp_path])
    assert names(corpus, tmp_path) == ["empty", "z", "a/a", "a/b"]
    assert corpus.skipped == 2


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path, a="a")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    assert names(find_sources([tmp_path]), tmp_path) == ["a"]


def test_patterns_match_files(tmp_path: Path) -> None:
    put(tmp_path, **{"a.txt": "a", "b.md": "b", "deep__c.txt": "c"})
    assert names(find_sources([f"{tmp_path}/**/*.txt"]), tmp_path) == ["a.txt", "deep/c.txt"]
    assert names(find_sources([f"{tmp_path}/[ab].*"]), tmp_path) == ["a.txt", "b.md"]


def test_a_pattern_follows_no_links_to_folders(tmp_path: Path) -> None:
    """Two links to their own folder have 2^40 paths."""
    put(tmp_path, **{"a.txt": "a", "deep__c.txt": "c", ".hidden__d.txt": "d"})
    for name in ("one", "two"):
        (tmp_path / name).symlink_to(tmp_path)
    for pattern in ("**/*.txt", "**", "**/**/*.txt"):
        assert names(find_sources([f"{tmp_path}/{pattern}"]), tmp_path) == ["a.txt", "deep/c.txt"]


def test_a_relative_pattern_gives_relative_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, **{"a.txt": "a", "deep__c.txt": "c"})
    monkeypatch.chdir(tmp_path / "deep")
    for pattern, found in (("**/*.txt", ["c.txt"]), ("../**/*.txt", ["../a.txt", "../deep/c.txt"])):
        assert [str(path) for path in find_sources([pattern]).documents] == found


def test_folders_may_be_nested_to_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("a")  # noqa: PTH102 - the whole path of each would take long
        os.chdir("a")
    Path("b.txt").write_text("b")
    monkeypatch.chdir(tmp_path)
    try:
        found = [find_sources([source]).documents for source in (".", "**/*.txt")]
    finally:
        subprocess.run(["rm", "-r", "a"], check=True)  # pytest cannot delete the folders
    assert [[path.name for path in documents] for documents in found] == [["b.txt"]] * 2


def test_a_file_whose_name_looks_like_a_pattern_is_read(tmp_path: Path) -> None:
    put(tmp_path, **{"what?[1].txt": "a"})
    assert names(find_sources([tmp_path / "what?[1].txt"]), tmp_path) == ["what?[1].txt"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    put(tmp_path, a="a", b="b")
    assert names(find_sources([tmp_path, tmp_path / "a", f"{tmp_path}/*"]), tmp_path) == ["a", "b"]
    (tmp_path / "x").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert names(find_sources([tmp_path / "c", tmp_path / "x" / ".." / "a", tmp_path]), tmp_path) == [
        "c",
        "b",
    ]


def test_a_named_file_may_hold_any_bytes(tmp_path: Path) -> None:
    put(tmp_path, a=b"\0\xff\r\n")
    assert [*read_bytes(find_sources([tmp_path / "a"]).documents[0])] == [b"\0\xff\r\n"]


def test_standard_input_is_copied_and_identified_by_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"to be")
    corpus = find_sources(["-", "-"])
    (document,) = corpus.documents
    assert document.read_bytes() == b"to be"
    assert corpus.digests == {document: hashlib.sha256(b"to be").hexdigest()}
    document.unlink()


def test_the_copy_of_standard_input_is_deleted_at_exit(tmp_path: Path) -> None:
    code = "from onward.data.corpus import find_sources; print(find_sources(['-']).documents[0], end='')"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"text", env=environment, capture_output=True, check=True
    )
    path = Path(done.stdout.decode())
    assert path.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_named_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = subprocess.Popen(["sh", "-c", f"printf text > '{tmp_path}/pipe'"])
    (document,) = find_sources([tmp_path / "pipe"]).documents
    assert writer.wait() == 0
    assert document.read_bytes() == b"text"
    document.unlink()


def test_no_room_for_the_copy_of_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, b"text")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(WriteError, match="cannot copy standard input") as caught:
        find_sources(["-"])
    assert "TMPDIR" in caught.value.hint


def refused(*sources: str | Path) -> str:
    """Returns the message of the error that the sources raise."""
    with pytest.raises(CorpusError) as caught:
        find_sources(sources)
    assert caught.value.hint
    return str(caught.value)


def test_sources_without_text_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, empty="", folder__binary=b"\0", folder2__empty="")
    (tmp_path / "nothing").mkdir()
    assert "there is no" in refused(tmp_path / "missing.txt")
    assert "there is no ''" in refused("")
    assert "empty" in refused(tmp_path / "empty")
    assert "empty" in refused(tmp_path / "folder2")
    assert "no text files (1 hidden or binary files were skipped)" in refused(tmp_path / "folder")
    assert "no text files" in refused(tmp_path / "nothing")
    assert "found none" in refused(f"{tmp_path}/*.txt")
    assert "found no text files" in refused()
    assert "File name too long" in refused("to be " * 1000)
    pipe(monkeypatch, b"")
    assert "empty" in refused("-")
    monkeypatch.setattr(sys, "stdin", None)
    assert refused("-") == "standard input is closed"
    assert refused("/dev/null") == "expected a file, a folder or a pipe, got a device: /dev/null"


def test_unreadable_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, folder__secret="a")

    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    corpus = find_sources([tmp_path / "folder"])
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusError, match=r"cannot read .*secret: Permission denied") as caught:
        list(read_bytes(corpus.documents[0]))
    assert caught.value.hint
    assert "secret: Permission denied" in refused(tmp_path / "folder")


def test_unreadable_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, a="a")

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert f"{tmp_path}: Permission denied" in refused(tmp_path)


def test_a_deleted_file_is_refused(tmp_path: Path) -> None:
    corpus = find_sources([put(tmp_path, a="a") / "a"])
    (tmp_path / "a").unlink()
    with pytest.raises(CorpusError, match="cannot read"):
        list(read_bytes(corpus.documents[0]))
    with pytest.raises(CorpusError, match="cannot read"):
        _ = corpus.size


@given(st.lists(st.binary(max_size=3)))
def test_decoding_pieces_equals_decoding_the_whole(pieces: list[bytes]) -> None:
    assert "".join(decode(pieces)) == b"".join(pieces).decode("utf-8", "replace")
