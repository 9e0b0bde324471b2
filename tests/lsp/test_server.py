"""What an editor gets while its user types."""

import random
from pathlib import Path

import pytest
from tests.lsp.client import Client, insertion, position_in
from tests.lsp.conftest import CODE, EXPECTED, Start, check_answers, wait_for_model

NAMES = "frobnicate_widgets(9)\nfrobnicate_widgets(8)\n" * 3
LONG = f"{CODE}gs:\n        print(name)\n\n\n" * 60 + CODE
END = LONG.count("\n"), 22
BEGUN = "import sys\n\n\ndef main():\n    frobnicate_"


def test_the_server_says_what_it_can_do(client: Client) -> None:
    assert client.capabilities["inlineCompletionProvider"] == {}
    assert client.capabilities["completionProvider"]["triggerCharacters"]
    assert client.capabilities["textDocumentSync"]["change"] == 2
    assert client.capabilities["positionEncoding"] == "utf-16"


def test_an_item_of_the_list_replaces_the_typed_word(client: Client) -> None:
    client.open("file:///list.py", CODE)
    items = client.words("file:///list.py", 5, 22)
    assert [item["sortText"] for item in items] == sorted(item["sortText"] for item in items)
    assert {"args", "argv"} <= {item["label"] for item in items}
    for item in items:
        assert item["textEdit"]["newText"].startswith("ar")
        assert item["filterText"] == "ar"
        assert item["textEdit"]["range"] == insertion(5, 20, "", 2)["range"]
        assert item["detail"].endswith("%")


def test_after_edits_the_answer_is_that_of_the_text(client: Client) -> None:
    rng, text = random.Random(3), CODE
    client.open("file:///edited.py", text)
    for version in range(1, 25):
        lines = text.split("\n")
        line = rng.randrange(len(lines))
        removed = rng.randint(0, min(2, len(lines[line])))
        at = len(lines[line]) - removed
        insert = rng.choice(["", "e", "self.", "\n", "\U0001f600", "\u00e9("])
        units = len(lines[line][:at].encode("utf-16-le")) // 2
        width = len(lines[line][at : at + removed].encode("utf-16-le")) // 2
        client.change("file:///edited.py", version, insertion(line, units, insert, width))
        before = "\n".join([*lines[:line], lines[line][:at]])
        text = before + insert + text[len(before) + removed :]
        end = (before + insert).split("\n")
        place = len(end) - 1, len(end[-1].encode("utf-16-le")) // 2
        fresh = f"file:///fresh{version}.py"
        client.open(fresh, text)
        assert client.ghost_text("file:///edited.py", *place) == client.ghost_text(fresh, *place)
        client.tell("textDocument/didClose", {"textDocument": {"uri": fresh}})


def test_an_undo_restores_the_ghost_text(client: Client) -> None:
    uri = "file:///undo.py"
    client.open(uri, CODE)
    before = client.ghost_text(uri, 5, 22)
    client.change(uri, 1, insertion(5, 22, "zzz = 9"))
    assert client.ghost_text(uri, 5, 29) != before
    client.change(uri, 2, insertion(5, 22, "", 7))
    assert client.ghost_text(uri, 5, 22) == before == EXPECTED


@pytest.mark.parametrize("text", [CODE.replace("\n", "\r\n"), "\U0001f600 = '\u00e9'\n" + CODE])
def test_line_ends_and_emoji_do_not_move_the_cursor(client: Client, text: str) -> None:
    uri = "file:///positions.py"
    client.open(uri, text)
    line = text.count("\n")
    assert client.ghost_text(uri, line, 22) == EXPECTED
    client.change(uri, 1, insertion(0, 0, "\U0001f600"), insertion(line, 20, "", 2))
    client.change(uri, 2, insertion(0, 2, "# "), insertion(line, 20, "ar"))
    assert client.ghost_text(uri, line, 22) == EXPECTED


def test_a_client_may_count_bytes(start: Start) -> None:
    encodings = {"general": {"positionEncodings": ["utf-8", "utf-16"]}}
    client = wait_for_model(start(capabilities=encodings))
    assert client.capabilities["positionEncoding"] == "utf-8"
    uri = "file:///bytes.py"
    client.open(uri, CODE.replace("for name", "for \U0001f600me"))
    assert client.ghost_text(uri, 5, 24) == client.ghost_text(uri, 5, 99) != ""


def test_text_after_the_cursor_is_not_written_again(client: Client) -> None:
    uri = "file:///suffix.py"
    client.open(uri, "def area(width, height):\n    return  * height\n")
    assert client.ghost_text(uri, 1, 11) == "width"


def test_a_line_is_not_suggested_before_the_same_line(client: Client) -> None:
    client.open("file:///last.py", CODE)
    found = client.ghost_text("file:///last.py", 5, 22)
    client.open("file:///next.py", f"{CODE}\n\n    for name in sys.ar{found}\n")
    assert found == EXPECTED
    assert client.ghost_text("file:///next.py", 5, 22) == ""


def test_no_text_is_shown_that_is_as_short_as_its_key(client: Client) -> None:
    uri = "file:///short.py"
    client.open(uri, "")
    text = "import sys\n\nfor name in sys.argv[1:]:\n    print(name)\n"
    shown = []
    for at, character in enumerate(text):
        line, start = text.count("\n", 0, at), text.rfind("\n", 0, at) + 1
        client.change(uri, at + 1, insertion(line, at - start, character))
        place = (line + 1, 0) if character == "\n" else (line, at - start + 1)
        shown.append(client.ghost_text(uri, *place))
    assert any(shown)
    assert all(len(found) >= 2 and "\n" not in found and found.strip() for found in shown if found)


def test_names_of_other_files_are_completed(tmp_path: Path, start: Start) -> None:
    (tmp_path / "other.py").write_text(NAMES)
    (tmp_path / "image.py").write_bytes(b"\x89PNG\0" + NAMES.encode())
    (tmp_path / ".gitignore").write_text("built.py\n")
    (tmp_path / "built.py").write_text(NAMES.replace("widgets", "gadgets") * 20)
    client = wait_for_model(start(root=tmp_path, capabilities={"window": {"workDoneProgress": True}}))

    def kinds() -> list[str]:
        messages = [each for each in client.notifications if each["method"] == "$/progress"]
        return [each["params"]["value"]["kind"] for each in messages]

    client.wait_until(lambda: "end" in kinds())
    assert kinds()[0] == "begin"
    assert any(each["method"] == "window/workDoneProgress/create" for each in client.notifications)
    check_answers(client, BEGUN, "widgets(")


def test_names_that_are_typed_are_completed_in_other_documents(start: Start) -> None:
    client = wait_for_model(start())
    client.open("file:///first.py", "import sys\n")
    client.change("file:///first.py", 1, insertion(1, 0, NAMES.replace("frob", "crab")))
    client.ghost_text("file:///first.py", 0, 3)
    client.open("file:///second.py", BEGUN.replace("frob", "crab"))
    client.wait_until(lambda: client.ghost_text("file:///second.py", 4, 15).startswith("widgets"), 10)


def test_settings_choose_what_is_shown(client: Client) -> None:
    def ghost_text(**settings: object) -> str:
        client.tell("workspace/didChangeConfiguration", {"settings": {"onward": settings}})
        return client.ghost_text("file:///settings.py", 5, 22)

    client.open("file:///settings.py", CODE)
    assert ghost_text() == EXPECTED
    assert ghost_text(length="word") == "gs"
    assert ghost_text(length="line").endswith(":")
    assert ghost_text(probability=1.0) == ""
    assert ghost_text(probability=0.01).startswith(EXPECTED)
    assert ghost_text(shortest=100) == ""
    assert ghost_text(languages=["rust"]) == ""
    assert ghost_text(languages=["rust", "python"]) == EXPECTED
    assert ghost_text(words=0) == EXPECTED
    assert client.words("file:///settings.py", 5, 22) == []
    before = len(client.notifications)
    assert ghost_text(length="page") == EXPECTED
    client.wait_until(lambda: len(client.notifications) > before)
    shown = client.notifications[-1]["params"]["message"]
    assert shown.startswith("wrong setting onward.length: Input should be 'certain', 'word' or 'line'")
    assert ghost_text() == EXPECTED


def test_settings_may_come_at_the_start(start: Start) -> None:
    client = start(options={"languages": ["rust"]})
    client.open("file:///a.rs", CODE, language="rust")
    client.wait_until(lambda: client.ghost_text("file:///a.rs", 5, 22))
    client.open("file:///a.py", CODE)
    assert client.ghost_text("file:///a.py", 5, 22) == ""


def test_the_model_of_a_workspace_is_used(tmp_path: Path, start: Start) -> None:
    (tmp_path / ".onward").mkdir()
    (tmp_path / ".onward" / "model.onward").write_bytes(b"no model")
    damaged = start(root=tmp_path)
    damaged.wait_until(lambda: damaged.notifications)
    (message,) = damaged.notifications
    assert message["method"] == "window/showMessage"
    assert "model.onward" in message["params"]["message"]
    damaged.open("file:///a.py", CODE)
    assert damaged.ghost_text("file:///a.py", 5, 22) == ""
    assert wait_for_model(start("--model", "python", root=tmp_path)).end() == (0, "")


def test_a_request_that_the_text_has_overtaken_gets_nothing(client: Client) -> None:
    uri = "file:///stale.py"
    client.open(uri, LONG)
    expected, requests = client.ghost_text(uri, *END), list[int]()
    for version in range(1, 30):
        requests.append(client.begin_ghost_text(uri, *END))
        client.change(uri, version, insertion(*END, "q"))
    answers = [client.finish(request)["items"] for request in requests]
    for items in answers[1:]:
        assert items == [] or items[0]["insertText"] != expected
    client.change(uri, 30, insertion(*END, "", 29))
    assert client.ghost_text(uri, *END) == expected != ""


def test_a_cancelled_request_does_not_disturb_the_next(client: Client) -> None:
    uri = "file:///cancel.py"
    client.open(uri, LONG)
    for _ in range(5):
        request = client.begin_ghost_text(uri, *END)
        client.tell("$/cancelRequest", {"id": request})
        client.begin_ghost_text(uri, *END)
    found = client.ghost_text(uri, *END)
    client.open("file:///same.py", LONG)
    assert found == client.ghost_text("file:///same.py", *END) != ""
    assert client.ask("textDocument/completion", position_in(uri, *END))["items"]
