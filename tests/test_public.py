"""What `import onward` gives, and what it does not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import onward


def test_every_public_name_resolves() -> None:
    for name in onward.__all__:
        assert getattr(onward, name) is not None
        assert name in dir(onward)


def test_type_checkers_see_the_names_from_where_they_come() -> None:
    tree = ast.parse(Path(onward.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == onward._HOMES
    assert sorted(onward._HOMES) == onward.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        onward.tran  # noqa: B018


def test_the_version_is_a_version() -> None:
    assert onward.__version__.split(".")[0].isdigit()


@pytest.mark.parametrize("code", ["import onward", "import onward.cli.app", "import onward.errors"])
def test_importing_loads_no_heavy_library(code: str) -> None:
    heavy = "{'torch', 'numpy', 'matplotlib', 'safetensors', 'jaxtyping'}"
    program = f"{code}\nimport sys\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
