"""Modules become one script that does the same."""

import re
from pathlib import Path

import pytest
from tests.export.nodejs import EXPORT, needs_node, run_script

from onward.export.bundle import bundle
from onward.export.page import page_script


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """Two modules with names that clash, and one that uses both."""
    files = {
        "main.js": 'import { name, Counter as Other } from "./one.js";\nimport { later } from "./two.js";\n'
        "const size = 1;\nconsole.log(JSON.stringify([name, new Other().size, later(), size]));\n",
        "one.js": "const size = 2;\nexport const name = `one`;\nexport class Counter {\n  size = size;\n}\n",
        "two.js": 'import { name } from "./one.js";\nconst size = 3;\n'
        "export function later() {\n  return name + size;\n}\n",
    }
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    return tmp_path


@needs_node
def test_names_of_modules_do_not_clash(modules: Path) -> None:
    assert run_script(bundle("main.js", [modules])) == ["one", 2, "one3", 1]


@needs_node
def test_the_first_folder_provides_a_module(modules: Path) -> None:
    own = modules / "own"
    own.mkdir()
    (own / "one.js").write_text("export const name = `own`;\nexport class Counter {\n  size = 9;\n}\n")
    assert run_script(bundle("main.js", [own, modules])) == ["own", 9, "own3", 1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('import { a } from "./missing.js";\n', "there is no module missing.js"),
        ('import { name } from "./main.js";\n', "imports itself"),
        ('import * as all from "./one.js";\n', "a form that a bundle does not support: import"),
        ("export default 1;\n", "a form that a bundle does not support: export default"),
        ("const end = `</script>`;\n", "a form that a bundle does not support: </script"),
    ],
)
def test_other_modules_are_refused(modules: Path, source: str, message: str) -> None:
    (modules / "main.js").write_text(source)
    with pytest.raises(ValueError, match=message):
        bundle("main.js", [modules])


def test_the_page_finds_every_method_of_the_server_in_its_own_model() -> None:
    page = EXPORT.parent / "serve" / "static" / "page"
    scripts = [file.read_text() for file in page.glob("*.js") if file.name != "api.js"]
    called = {name for script in scripts for name in re.findall(r"\bapi\.(\w+)\(", script)}
    own = (EXPORT / "static" / "api.js").read_text()
    offered = set(re.findall(r"^  (?:async )?\*?(\w+)(?:\(| = )", own, re.MULTILINE))
    assert {"score", "complete", "createSession"} <= called
    assert called - {"watches"} <= offered  # `watches` belongs to a link that the page does not have


def test_every_script_of_the_export_is_in_the_page() -> None:
    script = page_script("page.js")
    for file in (EXPORT / "static").iterdir():
        assert f"const {file.name.replace('.', '_')} = " in script
