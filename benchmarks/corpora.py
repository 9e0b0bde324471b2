"""Texts of many kinds and sizes, each with a part to train on and its continuation to score.

The recipe's rules are chosen on `SEARCH` and confirmed on `CONFIRM`. Most texts lie in `../shared/data`
(`$ONWARD_SHARED_DATA`). The texts of Python and C are those of the running Python, and manual pages in other
languages are from Debian.
"""

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

DATA = Path(os.environ.get("ONWARD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
LONGEST_TEST = 100_000
"""Maximum number of characters to score."""

_TROFF = re.compile(r"""^\.\\".*\n|^\.[A-Za-z]* ?|\\f[A-Z]|\\f?\([A-Za-z]{2}|\\[&e]""", re.MULTILINE)
"""Markup of manual pages."""

_OPEN = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}


class Text(NamedTuple):
    """A text: what it is, how to read it, and how many of its characters to train on.

    Attributes:
        kind: a few words.
        read: returns the whole text.
        start: position of the first character to use.
        size: number of characters to train on; None takes nine tenths of the text.
    """

    kind: str
    read: Callable[[], str]
    start: int = 0
    size: int | None = None

    def parts(self, size: int | None = None) -> tuple[str, str]:
        """Returns the text to train on, and its continuation.

        Args:
            size: number of characters to train on, in place of the text's own.
        """
        text = self.read()[self.start :]
        size = size or self.size or int(0.9 * len(text))
        return text[:size], text[size : size + LONGEST_TEST]


def data(name: str) -> Callable[[], str]:
    """Returns a function that reads a file of the shared data, decompressed."""

    def read() -> str:
        path = DATA / name
        with _OPEN.get(path.suffix, open)(path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    return read


def files(folder: str, pattern: str) -> Callable[[], str]:
    """Returns a function that reads files of the running Python, joined in the order of their names."""

    def read() -> str:
        found = sorted(Path(sysconfig.get_path(folder)).glob(pattern))
        return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in found)

    return read


def files_of_onward() -> str:
    """Returns the source of onward."""
    found = sorted((Path(__file__).parents[1] / "src" / "onward").rglob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in found)


def manual_pages(language: str) -> Callable[[], str]:
    """Returns a function that reads Debian's manual pages of commands in a language, without their markup."""

    def read() -> str:
        package = f"manpages-{language}"
        folder = Path(__file__).parents[1] / "build" / "manual_pages"
        if not (folder / package).exists():
            folder.mkdir(parents=True, exist_ok=True)
            options = ["-o", "APT::Sandbox::User=root"]
            subprocess.run(["apt-get", *options, "download", "-q", package], cwd=folder, check=True)
            (archive,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, folder / package], check=True)
        found = sorted((folder / package).glob(f"usr/share/man/{language}/man1/*.gz"))
        pages = (gzip.decompress(path.read_bytes()).decode("utf-8") for path in found)
        return "\n".join(_TROFF.sub("", page.replace("\\-", "-")) for page in pages)

    return read


SEARCH = {
    "German": Text("German manual pages", manual_pages("de"), 0, 1_000_000),
    "web 50K": Text("English web prose", data("english/govweb.txt.xz"), 1_000_000, 50_000),
    "nursery": Text("English verse", data("nursery/real-mother-goose.txt")),
    "names": Text("a list of film titles", data("movielens/ml-latest-small-2016-10/movies.csv")),
    "log 250K": Text("a log", data("logs/HDFS_2k.log"), 0, 250_000),
    "novel 200K": Text("an English novel", data("english/literature.txt.xz"), 5_000_000, 200_000),
    "shell": Text("shell commands with descriptions", data("shell/tldr.tsv.xz"), 0, 600_000),
    "Chinese": Text("Chinese poems", data("chinese/tang.txt")),
    "C": Text("C headers", files("include", "*.h")),
    "tinyshakespeare": Text("English plays", data("tinyshakespeare/input.txt")),
    "chat 1M": Text("English chat", data("english/chat_irc.txt.xz"), 0, 1_000_000),
    "Python 4M": Text("Python source", files("stdlib", "*.py")),
    "textbooks 20M": Text("English textbooks", data("english/textbooks.txt.xz"), 0, 20_000_000),
}
CONFIRM = {
    "web 20K": Text("English web prose", data("english/govweb.txt.xz"), 6_000_000, 20_000),
    "nietzsche": Text("English philosophy", data("nietzsche/nietzsche.txt"), 0, 480_000),
    "Wikipedia 3M": Text("Wikipedia's XML", data("enwik8-head/enwik8.head4000000.xz"), 0, 3_000_000),
    "French": Text("French manual pages", manual_pages("fr"), 0, 1_000_000),
    "Russian": Text("Russian manual pages", manual_pages("ru")),
    "Japanese": Text("Japanese manual pages", manual_pages("ja"), 0, 1_000_000),
    "onward": Text("Python source that no base has read", files_of_onward),
    "manual 1M": Text("technical documentation", data("english/techdocs.txt.xz"), 2_000_000, 1_000_000),
}
