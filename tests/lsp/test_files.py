"""The files of a workspace are those that Git would list, without what is hidden, large or binary."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from onward.lsp.files import MOST_BYTES, text_files, text_of


def fill(root: Path, files: dict[str, str]) -> None:
    for number, (name, content) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        os.utime(path, (number, number))


FILES = {
    "a.py": "1",
    "build/out.py": "1",
    "src/build/b.py": "1",
    "src/c.log": "1",
    "src/keep.log": "1",
    "src/.gitignore": "*.tmp\n!keep.log\n/deep/*.md\n",
    "src/x.tmp": "1",
    "src/deep/y.md": "1",
    "src/deep/z.txt": "1",
    "docs/deep/y.md": "1",
    ".gitignore": "# built\nbuild/\n*.log\n!src/keep.log\n",
    ".env": "SECRET=1",
    ".github/w.yml": "1",
}


def test_the_newest_files_come_first(tmp_path: Path) -> None:
    fill(tmp_path, {"old.py": "1", "folder/new.py": "1", "new.py": "1"})
    assert [path.name for path in text_files(tmp_path)] == ["new.py", "new.py", "old.py"]


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_ignored_files_are_those_of_git(tmp_path: Path) -> None:
    fill(tmp_path, FILES)
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    expected = {name for name in listed.stdout.split() if not any(part[0] == "." for part in name.split("/"))}
    assert {path.relative_to(tmp_path).as_posix() for path in text_files(tmp_path)} == expected
    assert expected == {"a.py", "src/keep.log", "src/deep/z.txt", "docs/deep/y.md"}


def test_large_files_links_and_packages_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, {"a.py": "1", "large.txt": "x" * (MOST_BYTES + 1), "empty.txt": ""})
    fill(tmp_path, {"node_modules/m/index.js": "1", ".venv/lib/site-packages/b.py": "1"})
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert text_files(tmp_path) == [tmp_path / "a.py"]
    assert text_files(tmp_path / "missing") == []


def test_only_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("caf\u00e9\n", encoding="utf-8")
    (tmp_path / "b").write_bytes(b"\x89PNG\r\n\0\1")
    (tmp_path / "c").write_bytes(b"caf\xe9")
    assert [text_of(tmp_path / name) for name in "abcd"] == ["caf\u00e9\n", None, None, None]
