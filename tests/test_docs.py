"""Every block of code in the README and the docs runs, in order, page by page; no link leads nowhere."""

import pydoc_data.topics
import re
import shutil
from pathlib import Path

import pytest
from tests.documentation import PAGES, ROOT, blocks, end_servers, run_block

from onward.cli.app import app, run
from onward.cli.output import DONE, FAILED, FLAGGED, INTERRUPTED, MISUSED, UNREAD
from onward.cli.watch import watch
from onward.training.recipe import find_recipe

TEXT = "".join(pydoc_data.topics.topics.values())
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documentation speaks of."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "nietzsche.txt").write_text(TEXT[:20_000])
    for name in (
        "letter.txt",
        "notes.txt",
        "some.txt",
        "server.log",
        "notes/a.txt",
        "notes/b.txt",
        "logs/a.log",
        "logs/b.log",
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXT[20_000:24_000])
    model = folder / "nietzsche.onward"
    assert (
        run(["train", str(folder / "nietzsche.txt"), "-o", str(model), "--recipe", "tiny", "--steps", "20"])
        == 0
    )
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_runs(page: Path, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(desk, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    try:
        for block in blocks(page):
            run_block(block)
    finally:
        end_servers()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_links_to_files_so_that_it_works_without_a_server() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\nuse_directory_urls: false" in settings
    (script,) = re.findall(r"^  polyfills: \[(.+)\]$", settings, re.MULTILINE)
    assert "iframe-worker" in script  # by another name mkdocs-material would load its own from elsewhere
    assert (ROOT / "docs" / script).is_file()


def test_the_guide_to_training_has_every_hyperparameter_with_its_default() -> None:
    page = (ROOT / "docs" / "guides" / "train.md").read_text(encoding="utf-8")
    page = page.partition("| hyperparameters | default |")[2].partition("\n\n")[0]
    told: dict[str, str] = {}
    for names, values in re.findall(r"^\| (`.+) \| (.+) \|$", page, re.MULTILINE):
        plain = re.sub(r" \([^)]*\)", "", names).replace("`", "")
        told |= zip(plain.split(", "), values.split(", "), strict=True)
    recipe = find_recipe().to_json()
    recipe.pop("name")
    assert told == {name: _as_told(value) for name, value in recipe.items()}


def _as_told(value: object) -> str:
    """A default as the guide writes it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value:g}"
        case _:
            return str(value)


def test_every_command_and_every_exit_code_stands_in_the_reference() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    names = [getattr(command.callback, "__name__", "") for command in app.registered_commands]
    watches = [f"watch {getattr(command.callback, '__name__', '')}" for command in watch.registered_commands]
    listed = set(re.findall(r"^onward (\w+(?: \w+)?) --help$", text, re.MULTILINE))
    assert listed == {*names, *watches, "watch"}
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert codes == {DONE, FAILED, MISUSED, FLAGGED, INTERRUPTED, UNREAD}
