"""The public names of `import onward`, and the libraries that it must not load."""

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


def test_type_checkers_see_the_public_names() -> None:
    tree = ast.parse(Path(onward.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {alias.name: node.module for node in imports for alias in node.names} == {
        name: getattr(onward, name).__module__ for name in onward.__all__
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        getattr(onward, "tran")  # noqa: B009 - a type checker refuses the plain attribute


def test_the_version_is_a_version() -> None:
    assert onward.__version__.split(".")[0].isdigit()


@pytest.mark.parametrize("code", ["import onward", "import onward.cli.app", "import onward.errors"])
def test_importing_loads_no_heavy_library(code: str) -> None:
    heavy = {"torch", "numpy", "matplotlib", "safetensors", "jaxtyping", "pydantic", "scipy", "starlette"}
    program = f"{code}\nimport sys\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
