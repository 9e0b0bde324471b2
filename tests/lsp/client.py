"""A client of the language server that sends raw JSON-RPC."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

Json = dict[str, Any]


class Client:
    """A process of `onward lsp`.

    Args:
        arguments: of the command.
        root: folder of the workspace.
        options: initialization options.
        capabilities: of the client.

    Attributes:
        process: the process.
        capabilities: of the server.
        notifications: the notifications and requests that the server has sent.
    """

    def __init__(
        self,
        *arguments: object,
        root: Path | None = None,
        options: Json | None = None,
        capabilities: Json | None = None,
    ) -> None:
        command = [sys.executable, "-m", "onward", "lsp", *map(str, arguments)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.notifications: list[Json] = []
        self._answers: Queue[Json] = Queue()
        self._ids = itertools.count(1)
        self._messages = b""
        self._errors = threading.Thread(target=self._read_messages, daemon=True)
        self._errors.start()
        threading.Thread(target=self._read, daemon=True).start()
        asked = {
            "processId": os.getpid(),
            "rootUri": root.as_uri() if root else None,
            "capabilities": capabilities or {},
            "initializationOptions": options,
        }
        self.capabilities: Json = self.ask("initialize", asked)["capabilities"]
        self.tell("initialized", {})

    def send(self, message: Json) -> None:
        """Sends a message."""
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes) -> None:
        """Sends a body with its header."""
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.process.stdin.flush()

    def tell(self, method: str, params: Any) -> None:
        """Sends a notification."""
        self.send({"method": method, "params": params})

    def begin(self, method: str, params: Any) -> int:
        """Sends a request, and returns its id."""
        number = next(self._ids)
        self.send({"id": number, "method": method, "params": params})
        return number

    def finish(self, number: int, *, error: bool = False) -> Any:
        """Returns the result of a request, or its error."""
        deadline, later = time.monotonic() + 20, list[Json]()
        while True:
            answer = self._answers.get(timeout=max(0.1, deadline - time.monotonic()))
            if answer["id"] == number:
                break
            later.append(answer)
        for each in later:
            self._answers.put(each)
        assert ("error" in answer) == error, answer
        return answer["error" if error else "result"]

    def has_answered(self, number: int) -> bool:
        """Whether a request was answered, with a result or an error; the answer is dropped."""
        later = list[Json]()
        while not self._answers.empty():
            later.append(self._answers.get())
        for each in later:
            if each["id"] != number:
                self._answers.put(each)
        return number in (each["id"] for each in later)

    def stop_reading(self) -> None:
        """Closes the server's output, as a client that has crashed."""
        assert self.process.stdout
        os.close(self.process.stdout.fileno())

    def ask(self, method: str, params: Any) -> Any:
        """Sends a request, and returns its result."""
        return self.finish(self.begin(method, params))

    def open(self, uri: str, text: str, language: str = "python", version: int = 0) -> None:
        """Opens a document."""
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, version: int, *changes: Json) -> None:
        """Changes a document."""
        document = {"uri": uri, "version": version}
        self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [*changes]})

    def ghost_text(self, uri: str, line: int, character: int) -> str:
        """Returns the ghost text at a position."""
        return text_of(self.finish(self.begin_ghost_text(uri, line, character)))

    def begin_ghost_text(self, uri: str, line: int, character: int) -> int:
        """Asks for the ghost text at a position, and returns the id of the request."""
        params = position_in(uri, line, character) | {"context": {"triggerKind": 2}}
        return self.begin("textDocument/inlineCompletion", params)

    def words(self, uri: str, line: int, character: int) -> list[Json]:
        """Returns the list of completions at a position."""
        found = self.ask("textDocument/completion", position_in(uri, line, character))
        assert found["isIncomplete"]
        return found["items"]

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Waits until a condition holds, such as that the model is loaded."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        """Shuts the server down, and returns its exit code and what it wrote to stderr."""
        self.ask("shutdown", None)
        self.tell("exit", None)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Waits for the server to end."""
        code = self.process.wait(30)
        self._errors.join(30)
        return code, self._messages.decode()

    def _read_messages(self) -> None:
        assert self.process.stderr
        self._messages = self.process.stderr.read()

    def _line(self) -> bytes:
        """Returns the next line of the server; none after `stop_reading`."""
        assert self.process.stdout
        try:
            return self.process.stdout.readline()
        except OSError:
            return b""

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream
        while header := self._line():
            size = int(header.split(b":")[1])
            while self._line().strip():
                pass
            message = json.loads(stream.read(size))
            if "method" in message:
                self.notifications.append(message)
                if "id" in message:
                    self.send({"id": message["id"], "result": None})
            else:
                self._answers.put(message)


def position_in(uri: str, line: int, character: int) -> Json:
    """Returns the parameters that name a position."""
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}


def insertion(line: int, character: int, text: str, removed: int = 0) -> Json:
    """Returns a change that replaces some code units of a line."""
    start, end = {"line": line, "character": character}, {"line": line, "character": character + removed}
    return {"range": {"start": start, "end": end}, "text": text}


def text_of(found: Json) -> str:
    """Returns the text of an answer to `textDocument/inlineCompletion`."""
    return found["items"][0]["insertText"] if found["items"] else ""
