"""Reads the pages of the documentation, and runs their blocks as a reader would, only with smaller models."""

import contextlib
import io
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import httpx

import onward
from onward.cli.app import run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
BUDGETS = {"--minutes", "--epochs", "--steps"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order, with the files that it includes in their places."""
    included = lambda found: (ROOT / found[1]).read_text(encoding="utf-8")  # noqa: E731
    text = SNIPPET.sub(included, page.read_text(encoding="utf-8"))
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in FENCE.finditer(text)
    ]


def run_block(block: Block) -> None:
    """Runs a block in the current folder; fails with its place where it does not work.

    Blocks of Python run as a program; of those of the shell, each line; those of no language are pictures.
    """
    if block.language == "python":
        code = compile("\n" * (block.line - 1) + _addressed(block.text), str(block.page), "exec")
        with mock.patch.dict(vars(onward), train=_small_train()), contextlib.redirect_stdout(io.StringIO()):
            exec(code, {"__name__": "__main__"})
    elif block.language == "sh":
        for number, line in enumerate(block.text.splitlines()):
            _run_line(line, f"{block.page.name}:{block.line + number}")
    elif block.language:
        raise AssertionError(
            f"{block.page.name}:{block.line}: nothing here runs blocks of {block.language!r}"
        )


def _small_train():
    train = onward.train

    def small(*sources, minutes=None, epochs=None, steps=None, recipe=None, **rest):
        return train(*sources, steps=4, recipe="tiny", **rest)

    return small


def _run_line(line: str, place: str) -> None:
    """One line of a shell: commands joined by pipes, the last perhaps redirected to a file."""
    words = list(shlex.shlex(line, posix=True, punctuation_chars="|>"))
    words = shlex.split(line) if not {"|", ">"} & set(words) else words
    *words, target = (
        [*words[: words.index(">")], words[words.index(">") + 1]] if ">" in words else [*words, ""]
    )
    data = b""
    for command in _split(words, "|"):
        data = _run_command(command, data, place)
    if target:
        Path(target).write_bytes(data)


def _split(words: list[str], separator: str) -> Iterator[list[str]]:
    while separator in words:
        at = words.index(separator)
        yield words[:at]
        words = words[at + 1 :]
    yield words


def _run_command(words: list[str], data: bytes, place: str) -> bytes:
    """The output of one command that reads `data`."""
    match words:
        case ["echo", text]:
            return f"{text}\n".encode()
        case ["printf", r"%s\n", *lines]:
            return "".join(f"{line}\n" for line in lines).encode()
        case ["cat", *names]:
            return b"".join(Path(name).read_bytes() for name in names)
        case ["make", target]:
            subprocess.run(["make", "-n", "-C", str(ROOT), target], check=True, capture_output=True)
        case ["pip", "install", "." | ".[theano]"]:
            pass
        case ["curl", "-s", url, *rest] if rest[:1] in ([], ["-d"]):
            answer = httpx.request("POST" if rest else "GET", _addressed(url), content="".join(rest[1:]))
            assert answer.is_success, f"{place}: {answer.text}"
        case ["onward", "serve", *arguments] if "--help" not in arguments:
            _serve(arguments, place)
        case ["onward", *arguments]:
            follows = "--follow" in arguments
            return (_run_until_an_alarm if follows else _run_onward)(small(arguments), data, place)
        case _:
            raise AssertionError(f"{place}: nothing here runs {words}")
    return b""


_SERVERS: list[tuple[subprocess.Popen[str], str]] = []


def _serve(arguments: list[str], place: str) -> None:
    """A server at a port that is free; pages that speak of port 8000 find it."""
    command = [sys.executable, "-m", "onward", "serve", *arguments, "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    line = server.stderr.readline()
    assert line.startswith("serving http"), f"{place}: {line}"
    _SERVERS.append((server, line.split()[1].rstrip("/")))


def _addressed(text: str) -> str:
    return text.replace("http://127.0.0.1:8000", _SERVERS[-1][1]) if _SERVERS else text


def end_servers() -> None:
    """Ends the servers of a page."""
    while _SERVERS:
        server, _ = _SERVERS.pop()
        server.terminate()
        server.communicate(timeout=60)


def _run_until_an_alarm(arguments: list[str], _: bytes, place: str) -> bytes:
    """A watch that would not end by itself, ended when it has printed an alarm."""
    command = [sys.executable, "-m", "onward", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        line = watch.stdout.readline()
        watch.send_signal(signal.SIGTERM)
        rest = watch.stdout.read()
    assert line and watch.returncode == 3, f"{place}: ended with {watch.returncode}"
    return line + rest


def _run_onward(arguments: list[str], data: bytes, place: str) -> bytes:
    output, messages = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(messages),
    ):
        code = run(arguments)
    expected = (0, 3) if arguments[:2] == ["watch", "run"] else (0,)
    assert code in expected, (
        f"{place}: onward {shlex.join(arguments)} ended with {code}:\n{messages.getvalue()}"
    )
    output.flush()
    return output.buffer.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def small(arguments: list[str]) -> list[str]:
    """The same command with the smallest recipe and four steps, where it trains; of a rung the list."""
    if arguments[0] == "lesson":
        return ["lesson"]
    if arguments[:2] == ["watch", "learn"]:
        return [*arguments, "--steps", "4"]
    if arguments[0] != "train":
        return arguments
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument not in BUDGETS | {"--recipe"}:
            kept.append(argument)
        skip = not skip and argument in BUDGETS | {"--recipe"}
    return [*kept, "--recipe", "tiny", "--steps", "4"]
