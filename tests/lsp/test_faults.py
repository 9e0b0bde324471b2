"""Faults of a client: the server stays up, shows no stale text, and answers the next request."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.lsp.client import Client, insertion, position_in, text_of
from tests.lsp.conftest import CODE, EXPECTED, Start, wait_for_model

from onward.cli.output import UNREAD

URI = "file:///faulty.py"
UNKNOWN = "file:///unknown.py"
Fault = Callable[[Client], object]
INLINE = "textDocument/inlineCompletion"

VERSIONS = itertools.count(1)


def asks(method: str, params: Any) -> Fault:
    """A request that is answered, with a result or an error."""

    def fault(client: Client) -> None:
        number = client.begin(method, params)
        client.wait_until(lambda: client.has_answered(number), 10)

    return fault


def tells(method: str, params: Any) -> Fault:
    return lambda client: client.tell(method, params)


def body(content: bytes) -> Fault:
    return lambda client: client.send_bytes(content)


def inline_at(uri: Any, line: Any, character: Any) -> Fault:
    return asks(INLINE, position_in(uri, line, character) | {"context": {"triggerKind": 1}})


def changes(version: Any, *changed: Any, uri: str = URI) -> Fault:
    document = {"uri": uri, "version": version}
    return tells("textDocument/didChange", {"textDocument": document, "contentChanges": [*changed]})


def loses_text(*changed: Any, version: int = 0) -> Fault:
    """A change after which the text of the document is not known: nothing is shown until it is sent whole."""

    def fault(client: Client) -> None:
        changes(version or next(VERSIONS), *changed)(client)
        assert client.ghost_text(URI, 5, 22) == ""
        client.change(URI, next(VERSIONS) + 1000, {"text": CODE})

    return fault


REVERSED = {"range": {"start": {"line": 3, "character": 0}, "end": {"line": 1, "character": 0}}, "text": "x"}
HUGE = "x = 1\n" * 400_000
FAULTS: dict[str, Fault] = {
    "position beyond the line": inline_at(URI, 0, 10**6),
    "position beyond the text": inline_at(URI, 10**6, 3),
    "largest position": inline_at(URI, 2**31 - 1, 2**31 - 1),
    "negative line": inline_at(URI, -1, 0),
    "negative character": inline_at(URI, 0, -5),
    "position that is too large for the protocol": inline_at(URI, 2**70, 0),
    "position of text": inline_at(URI, "a", None),
    "unknown document, inline": inline_at(UNKNOWN, 0, 0),
    "unknown document, list": asks("textDocument/completion", position_in(UNKNOWN, 0, 0)),
    "empty name": inline_at("", 0, 0),
    "name that is no URI": inline_at("\\\\?\\C:\\x", 0, 0),
    "name of a number": inline_at(7, 0, 0),
    "no parameters, inline": asks(INLINE, {}),
    "null parameters, inline": asks(INLINE, None),
    "a list as parameters": asks(INLINE, [1, 2]),
    "no context": asks(INLINE, position_in(URI, 0, 0)),
    "unknown trigger": asks(INLINE, position_in(URI, 0, 0) | {"context": {"triggerKind": 99}}),
    "no parameters, list": asks("textDocument/completion", {}),
    "unknown request": asks("textDocument/telepathy", {}),
    "request that is not supported": asks("textDocument/hover", position_in(URI, 0, 0)),
    "unknown command": asks("workspace/executeCommand", {"command": "rm", "arguments": ["-rf"]}),
    "a second initialize": asks("initialize", {"processId": None, "rootUri": None, "capabilities": {}}),
    "unknown notification": tells("$/telepathy", {}),
    "optional notification": tells("$/setTrace", {"value": "off"}),
    "cancelled request that is unknown": tells("$/cancelRequest", {"id": 987654}),
    "cancelled request of no id": tells("$/cancelRequest", {}),
    "close of an unknown document": tells("textDocument/didClose", {"textDocument": {"uri": UNKNOWN}}),
    "change of an unknown document": changes(3, insertion(0, 0, "x"), uri=UNKNOWN),
    "save of an unknown document": tells("textDocument/didSave", {"textDocument": {"uri": UNKNOWN}}),
    "change without a document": tells("textDocument/didChange", {"contentChanges": []}),
    "change without a range or text": changes(5, {}),
    "open without a text": tells("textDocument/didOpen", {"textDocument": {"uri": UNKNOWN}}),
    "open of null": tells("textDocument/didOpen", None),
    "configuration of a number": tells("workspace/didChangeConfiguration", {"settings": 5}),
    "configuration of null": tells("workspace/didChangeConfiguration", {"settings": None}),
    "configuration of nonsense": tells(
        "workspace/didChangeConfiguration", {"settings": {"onward": {"length": [], "x": 1}}}
    ),
    "not JSON": body(b"{"),
    "not UTF-8": body(b'{"jsonrpc": "2.0", "method": "\xff"}'),
    "a number": body(b"17"),
    "a list": body(b"[]"),
    "null": body(b"null"),
    "an empty object": body(b"{}"),
    "another version of JSON-RPC": body(b'{"jsonrpc": "1.0", "method": "exit"}'),
    "deep JSON": body(b"[" * 100_000),
    "an answer that nobody asked for": body(b'{"jsonrpc": "2.0", "id": 4711, "result": {}}'),
    "an error that nobody asked for": body(
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": ""}}'
    ),
    "a lone surrogate": body(
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {"uri": "file:///s",'
        b'"languageId": "x", "version": 1, "text": "\\ud83d"}}}'
    ),
    "version of the past": loses_text(insertion(0, 0, "y"), version=-5),
    "reversed range": loses_text(REVERSED),
    "changes that contradict each other": loses_text(insertion(0, 0, "z"), REVERSED, insertion(9, 9, "z")),
    "binary text": loses_text(insertion(0, 0, "\0")),
    "huge text": loses_text(insertion(0, 0, HUGE)),
    "binary document": lambda client: (client.open(UNKNOWN, "\x7fELF\0\0"), inline_at(UNKNOWN, 0, 3)(client)),
    "huge document": lambda client: (client.open(UNKNOWN, HUGE), inline_at(UNKNOWN, 5, 3)(client)),
    "one long line": lambda client: (client.open(UNKNOWN, "x" * 300_000), inline_at(UNKNOWN, 0, 9)(client)),
    "document that is opened twice": lambda client: client.open(URI, CODE, version=100_000),
}


@pytest.fixture(scope="module")
def faulty() -> Iterator[Client]:
    client = wait_for_model(Client("--memory", "0"))
    yield client
    client.tell("exit", None)
    _, messages = client.wait()
    assert "Fatal" not in messages


def test_there_are_fifty_faults() -> None:
    assert len(FAULTS) >= 50


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_the_server_answers(faulty: Client, name: str) -> None:
    faulty.open(URI, CODE)
    FAULTS[name](faulty)
    faulty.tell("workspace/didChangeConfiguration", {"settings": {}})
    assert faulty.ghost_text(URI, 5, 22) == EXPECTED
    faulty.change(URI, 10**6, insertion(5, 22, "g"))
    assert faulty.ghost_text(URI, 5, 23) == EXPECTED[1:]
    assert faulty.process.poll() is None


def test_the_server_ends_when_its_client_has_gone(start: Start) -> None:
    for leave in ("stdin", "stdout", "both"):
        client = wait_for_model(start("--memory", "0"))
        client.open(URI, CODE)
        client.begin_ghost_text(URI, 5, 22)
        assert client.process.stdin and client.process.stdout
        if leave != "stdin":
            client.stop_reading()
            client.begin_ghost_text(URI, 5, 22)
        client.process.stdin.close()
        code, messages = client.wait()
        assert code in (0, UNREAD)
        assert "Traceback" not in messages


def test_the_server_ends_before_its_model_is_loaded(start: Start) -> None:
    client = start()
    assert client.process.stdin
    client.process.stdin.close()
    code, messages = client.wait()
    assert (code, messages) == (0, "")


def test_a_document_is_not_known_after_it_was_closed(faulty: Client) -> None:
    faulty.open(URI, CODE)
    request = faulty.begin_ghost_text(URI, 5, 22)
    faulty.tell("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert text_of(faulty.finish(request)) in ("", EXPECTED)
    assert faulty.ghost_text(URI, 5, 22) == ""
