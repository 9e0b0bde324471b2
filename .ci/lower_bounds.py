"""Installs onward with each dependency at its lower bound, in a fresh environment, and runs the smoke test.

    python .ci/lower_bounds.py [FOLDER]

FOLDER (build/lower-bounds) gets the environment and the constraints, which are written from pyproject.toml.
PyTorch is left to pip: its lower bound is chosen with CPU builds in mind, and it is the largest download.
"""

import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENT = re.compile(r"^([A-Za-z0-9_.\[\]-]+)>=([0-9.]+)")
FREE = {"torch"}


def constraints(requirements: list[str], free: Collection[str] = FREE) -> list[str]:
    """`name==version` for each requirement that has a lower bound, but for the free ones."""
    found = (REQUIREMENT.match(requirement) for requirement in requirements)
    return [f"{match[1]}=={match[2]}" for match in found if match and match[1] not in free]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "lower-bounds"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    venv.create(folder, with_pip=True, clear=True)
    listed = folder / "constraints.txt"
    listed.write_text("\n".join(constraints(project["dependencies"])) + "\n", encoding="utf-8")
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", listed, ROOT]
    subprocess.run(install, check=True)
    subprocess.run([python, ROOT / ".ci" / "smoke.py"], check=True, cwd=folder)


if __name__ == "__main__":
    main()
