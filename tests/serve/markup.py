"""What an HTML file refers to."""

from html.parser import HTMLParser


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
