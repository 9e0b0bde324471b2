"""Reads the pages of the documentation, and runs their blocks with smaller models and fewer steps."""

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
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Returns the fenced blocks of a page, in order, with included files in place."""
    included = lambda found: (ROOT / found[1]).read_text(encoding="utf-8")  # noqa: E731
    text = SNIPPET.sub(included, page.read_text(encoding="utf-8"))
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in FENCE.finditer(text)
    ]


def prose(page: Path) -> list[tuple[int, str]]:
    """Returns the numbered lines of a page, without tables, code, images and long links."""
    text = FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text(encoding="utf-8"))
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line) for number, line in lines if not line.startswith(("|", "![", "    "))]


def run_block(block: Block) -> None:
    """Runs a block in the current folder.

    A Python block runs as a program, a shell block line by line; a block without a language is only shown.

    Raises:
        AssertionError: a command failed; the message names the page and the line.
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
    """Runs one shell line: commands joined by pipes, perhaps redirected to a file."""
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
    """Returns the output of one command whose standard input is `data`."""
    match words:
        case ["echo", text]:
            return f"{text}\n".encode()
        case ["printf", r"%s\n", *lines]:
            return "".join(f"{line}\n" for line in lines).encode()
        case ["cat", *names]:
            return b"".join(Path(name).read_bytes() for name in names)
        case ["make", target]:
            subprocess.run(["make", "-n", "-C", str(ROOT), target], check=True, capture_output=True)
        case ["pip", "install", "." | ".[theano]" | ".[lsp]" | "onward[ray]"]:
            pass
        case ["curl", "-s", url, *rest] if rest[:1] in ([], ["-d"]):
            answer = httpx.request("POST" if rest else "GET", _addressed(url), content="".join(rest[1:]))
            assert answer.is_success, f"{place}: {answer.text}"
        case ["onward", "serve", *arguments] if "--help" not in arguments:
            _serve(arguments, place)
        case ["torchrun", "--nproc-per-node", count, "-m", "onward", *arguments]:
            launcher = ["-m", "torch.distributed.run", "--nproc-per-node", count, "-m", "onward"]
            command = [sys.executable, *launcher, *small(arguments)]
            subprocess.run(command, check=True, capture_output=True)
        case ["onward", *arguments]:
            follows = arguments[0] == "watch" and "--follow" in arguments
            return (_run_until_an_alarm if follows else _run_onward)(small(arguments), data, place)
        case _:
            raise AssertionError(f"{place}: nothing here runs {words}")
    return b""


_SERVERS: list[tuple[subprocess.Popen[str], str]] = []


def _serve(arguments: list[str], place: str) -> None:
    """Starts a server on a free port; `_addressed` replaces port 8000 in later blocks."""
    command = [sys.executable, "-m", "onward", "serve", *arguments, "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    line = server.stderr.readline()
    assert line.startswith("serving http"), f"{place}: {line}"
    _SERVERS.append((server, line.split()[1].rstrip("/")))


def _addressed(text: str) -> str:
    return text.replace("http://127.0.0.1:8000", _SERVERS[-1][1]) if _SERVERS else text


def end_servers() -> None:
    """Stops the servers that a page started."""
    while _SERVERS:
        server, _ = _SERVERS.pop()
        server.terminate()
        server.communicate(timeout=60)


def _run_until_an_alarm(arguments: list[str], _: bytes, place: str) -> bytes:
    """Runs a watch that does not end by itself until it has printed an alarm."""
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
    """Returns the same command, but with the smallest recipe and four steps if it trains.

    `onward lesson NAME` becomes `onward lesson`, which only lists the rungs.
    """
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
