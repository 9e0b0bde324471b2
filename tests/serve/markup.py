"""Checks the files of a page, as a browser would load them."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

FORBIDDEN = r"\burl\(|@import|innerHTML|eval\("
ELSEWHERE = r"https?://(?!www\.w3\.org/)"  # names of SVG namespaces are not requested


class References(HTMLParser):
    """Collects the files, the attributes and the ids of an HTML file. Links to other pages are left out."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src") and tag != "a":
                self.targets.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "script":
            assert dict(attrs)["src"]


def check_page(client: httpx.Client, home: str) -> set[str]:
    """Checks that a page only loads files of its server, and returns their paths."""
    answer = client.get(home)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = References(answer.text)
    assert not {"style", "onclick", "onload"} & page.attributes
    assert len(page.ids) == len(set(page.ids))
    waiting = [urljoin(home, target) for target in page.targets]
    loaded: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in loaded:
            continue
        loaded.add(path)
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(f"{FORBIDDEN}|{ELSEWHERE}", answer.text), path
        assert set(re.findall(r'\$\("(\w+)"\)', answer.text)) <= set(page.ids), path
        if path.endswith(".js"):
            assert answer.headers["content-type"].startswith("text/javascript")
            waiting += [urljoin(path, name) for name in re.findall(r'from "(\..+?)"', answer.text)]
    return loaded
