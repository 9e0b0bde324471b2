"""The base models that come with onward. They are loaded by name, such as `onward.load("english")`.

The scripts in the folder `bases/` of the repository trained them; `ATTRIBUTION.md` names the texts.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def base_names() -> tuple[str, ...]:
    """Returns the names of the base models."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.onward")))


def find_model(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a model file. A file takes precedence over a base model of the same name."""
    named = Path(path)
    bundled = FOLDER / f"{path}.onward"
    return bundled if bundled.parent == FOLDER and bundled.is_file() and not named.exists() else named
