"""What the files of a page refer to."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser

from onward.serve.page import Asset


class References(HTMLParser):
    """What an HTML file refers to, its attributes, and its ids; links to other pages are not among them."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src") and tag != "a":
                self.targets.append(value)
            if name == "id":
                self.ids.append(value)
        if tag == "script":
            assert dict(attrs)["src"]


def check_files(
    found: dict[str, Asset], home: str, *, beside: Mapping[str, Asset] | None = None, namespaces: str = ""
) -> dict[str, set[str]]:
    """Checks that a page needs nothing from elsewhere, and that all it refers to is there.

    Args:
        found: its files, by path.
        home: the path of the page itself.
        beside: files of another page that it uses.
        namespaces: addresses, as a regular expression, that name no file.

    Returns:
        What its modules import, by the beginning of the name, "./" or "../".
    """
    page = References(found[home].content.decode())
    assert {f"/{target}" for target in page.targets} <= found.keys() | (beside or {}).keys()
    assert not {"style", "onclick", "onload"} & page.attributes
    elsewhere = rf"https?://(?!{namespaces or '$^'})|url\(|@import|innerHTML|eval\("
    names: dict[str, set[str]] = {"./": set(), "../": set()}
    for path, asset in found.items():
        text = asset.content.decode()
        assert text.count("\n") < 300, path
        assert not re.search(elsewhere, text), path
        for start, name in re.findall(r'from "(\.{1,2}/)(.+?)"', text):
            names[start].add(name)
        assert set(re.findall(r'\$\("(\w+)"\)', text)) <= set(page.ids)
    return names
