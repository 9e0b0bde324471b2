"""The files of the pages are complete, come only from this server, and are cached by their ETag."""

from pathlib import Path

from tests.serve.conftest import Server
from tests.serve.markup import check_page

import onward.serve.pages
from onward.serve.pages import CONTENT_SECURITY_POLICY

STATIC = Path(onward.serve.pages.__file__).parent / "static"


def test_the_typing_page_loads_every_file_of_its_own(server: Server) -> None:
    loaded = check_page(server.client, "/")
    assert {f"/page/{file.name}" for file in (STATIC / "page").iterdir()} <= loaded
    assert {"/page/reading.js", "/page/reading.css"} <= loaded


def test_the_page_of_alarms_loads_every_file_of_its_own(watch: Server) -> None:
    loaded = check_page(watch.client, "/watch")
    assert {f"/page/watch/{file.name}" for file in (STATIC / "watch").iterdir()} <= loaded


def test_a_file_that_has_not_changed_is_not_sent_again(server: Server) -> None:
    first = server.client.get("/page/page.js")
    assert first.headers["cache-control"] == "no-cache"
    again = server.client.get("/page/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = server.client.get("/page/page.js", headers={"If-None-Match": '"other"'})
    assert other.content == first.content


def test_pages_and_their_files_have_a_strict_policy(server: Server) -> None:
    for path in ("/", "/page/page.js", "/page/icon.svg"):
        assert server.client.get(path).headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_files_outside_the_folders_are_not_served(server: Server) -> None:
    for path in (
        "/page/../pages.py",
        "/page/%2e%2e/pages.py",
        "/page/..%2f..%2fpages.py",
        "/page/%2fetc/passwd",
    ):
        assert server.client.get(path).status_code == 404, path
