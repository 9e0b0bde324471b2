"""The page of alarms: its files, which use modules and styles of the other page (`onward.serve.page`)."""

from importlib.resources import files

from onward.serve.page import Asset, asset

_NAMES = (".html", ".css", ".js")


def watch_assets() -> dict[str, Asset]:
    """Every file of the page by its path: the page at "/watch", the others under "/page/watch/"."""
    own = [file for file in files("onward.serve.watch_page").iterdir() if file.name.endswith(_NAMES)]
    return {"/watch" if f.name == "watch.html" else f"/page/watch/{f.name}": asset(f) for f in own}
