"""Checks the README and the docs: every block runs, every link works, and the references are complete."""

import dataclasses
import pydoc_data.topics
import re
import shutil
from pathlib import Path

import pytest
from tests.documentation import PAGES, ROOT, blocks, end_servers, prose, run_block

import onward
from onward.cli.app import app, run
from onward.cli.output import DONE, FAILED, FLAGGED, INTERRUPTED, MISUSED, UNREAD
from onward.cli.watch import watch
from onward.training.recipe import find_recipe

TEXT = "".join(pydoc_data.topics.topics.values())
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
WIDTH = 100
WRITTEN = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documentation mentions."""
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


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize(
    "page",
    [page if page == ROOT / "README.md" else pytest.param(page, marks=pytest.mark.slow) for page in PAGES],
    ids=page_name,
)
def test_every_block_runs(page: Path, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(desk, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    try:
        for block in blocks(page):
            run_block(block)
    finally:
        end_servers()


@pytest.mark.parametrize("page", WRITTEN, ids=page_name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", WRITTEN, ids=page_name)
def test_text_wraps_at_the_width(page: Path) -> None:
    long = [f"{page.name}:{number}" for number, line in prose(page) if len(line) > WIDTH]
    assert not long, f"lines of more than {WIDTH} columns: {', '.join(long)}"


def test_the_site_works_without_a_server() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "\nuse_directory_urls: false" in settings  # links to files
    (script,) = re.findall(r"^  polyfills: \[(.+)\]$", settings, re.MULTILINE)
    assert "iframe-worker" in script  # under another name the builder would load its own from another server
    assert (ROOT / "docs" / script).is_file()


def test_every_page_is_in_the_navigation() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w/-]+\.md)$", settings, re.MULTILINE))
    assert listed == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


def test_the_guide_to_training_lists_every_hyperparameter_with_its_default() -> None:
    page = (ROOT / "docs" / "guides" / "train.md").read_text(encoding="utf-8")
    page = page.partition("| hyperparameters | default |")[2].partition("\n\n")[0]
    listed: dict[str, str] = {}
    for names, values in re.findall(r"^\| (`.+) \| (.+) \|$", page, re.MULTILINE):
        plain = re.sub(r" \([^)]*\)", "", names).replace("`", "")
        listed |= zip(plain.split(", "), values.split(", "), strict=True)
    recipe = dataclasses.asdict(find_recipe())
    recipe.pop("name")
    assert listed == {name: as_written(value) for name, value in recipe.items()}


def as_written(value: object) -> str:
    """A default value as the guide writes it."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case int() | float():
            return f"{value:g}"
        case _:
            return str(value)


def test_the_reference_lists_every_command_and_exit_code() -> None:
    text = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    names = [getattr(command.callback, "__name__", "") for command in app.registered_commands]
    watches = [f"watch {getattr(command.callback, '__name__', '')}" for command in watch.registered_commands]
    listed = set(re.findall(r"^onward (\w+(?: \w+)?) --help$", text, re.MULTILINE))
    assert listed == {*names, *watches, "watch"}
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert codes == {DONE, FAILED, MISUSED, FLAGGED, INTERRUPTED, UNREAD}


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    files = {
        f"/{file.relative_to(ROOT)}" for part in ("src", "tests") for file in (ROOT / part).rglob("*.py")
    }
    for name in set(re.findall(r"`([\w/]+\.py)`", text)):
        assert any(file.endswith(f"/{name}") for file in files), name


def test_the_reference_has_every_public_name() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    modules = set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE))
    for name in onward.__all__:
        module = getattr(onward, name).__module__
        assert module in modules, f"no reference page has {module} ({name})"
        assert f"[`{name}`][{module}.{name}]" in text, f"docs/reference/python.md does not list {name}"
