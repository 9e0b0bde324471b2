"""Trains the base model `python`, from which `onward train` begins when a text is Python source code.

    python bases/python.py [--resume]

The text is the standard library of Python 3.11, and packages that `pip download` fetches from PyPI, at the
versions given here. All have permissive licences, which the script writes into `python-licences.txt`. Tests,
tables and copies of other packages are left out. It takes 20 to 60 minutes on two cores.

The packages of `UNREAD` are not used, so that they can be scored.
"""

import hashlib
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

from base_training import BUILD, SHIPPED, train_base, wants_resume

PACKAGES = {
    "aiohttp==3.14.5": "Apache-2.0 AND MIT",
    "babel==2.19.0": "BSD-3-Clause",
    "bokeh==3.9.2": "BSD-3-Clause",
    "celery==5.7.0": "BSD-3-Clause",
    "click==8.5.1": "BSD-3-Clause",
    "dask==2026.8.0": "BSD-3-Clause",
    "django==5.2.19": "BSD-3-Clause",
    "fastapi==0.165.0": "MIT",
    "flask==3.1.3": "BSD-3-Clause",
    "jinja2==3.1.6": "BSD-3-Clause",
    "keras==3.15.1": "Apache-2.0",
    "marshmallow==4.4.0": "MIT",
    "matplotlib==3.11.2": "PSF-2.0",
    "networkx==3.6.1": "BSD-3-Clause",
    "nltk==3.10.4": "Apache-2.0",
    "pandas==3.1.1": "BSD-3-Clause",
    "poetry==2.5.1": "MIT",
    "pydantic==2.14.4": "MIT",
    "pygments==2.21.0": "BSD-2-Clause",
    "pytest==9.2.0": "MIT",
    "requests==2.34.2": "Apache-2.0",
    "rich==15.0.0": "MIT",
    "scikit-learn==1.9.1": "BSD-3-Clause",
    "scrapy==2.19.0": "BSD-3-Clause",
    "sphinx==9.0.4": "BSD-2-Clause",
    "sqlalchemy==2.1.9": "MIT",
    "starlette==1.10.0": "BSD-3-Clause",
    "statsmodels==0.15.0": "BSD-3-Clause",
    "sympy==1.14.0": "BSD-3-Clause",
    "tornado==6.6.1": "Apache-2.0",
    "twisted==26.10.0": "MIT",
    "typer==0.29.2": "MIT",
    "urllib3==2.8.0": "MIT",
    "werkzeug==3.1.9": "BSD-3-Clause",
    "xarray==2026.9.0": "Apache-2.0",
}
"""The packages to train on, and their licences."""

UNREAD = ("attrs==26.1.0", "black==26.10.1", "httpx==0.28.1", "tqdm==4.70.1")

STEPS = 5_000
"""Steps of 4,096 symbols: just under half of the text."""

SKIPPED = {"test", "tests", "testing", "vendor", "_vendor", "_vendored", "externals", "migrations", "locale"}
SKIPPED |= {"idlelib", "lib2to3", "turtledemo", "site-packages", "pydoc_data", "ensurepip"}
"""Folders of tests, of copies of other packages, and of tables; in the standard library, also of programs."""

LONGEST_LINE, SHORTEST_FILE, LONGEST_FILE = 300, 200, 300_000
"""In characters. Other files are tables, or nearly empty."""

LARGEST_SHARE = 1_200_000
"""Number of characters to use of a package, so that no package outweighs the others."""

_LICENCE = re.compile(r"[^/]+\.dist-info/(licenses/)?(LICEN[CS]E|COPYING|NOTICE)[^/]*")
LICENCES = SHIPPED / "python-licences.txt"


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        sys.exit("expected Python 3.11, whose standard library is part of the text")
    resume = wants_resume(__doc__)
    LICENCES.write_text("\n".join(licences()), encoding="utf-8")
    train_base("python", documents(), unread(), steps=STEPS, resume=resume)


def documents() -> Iterator[tuple[str, str]]:
    """Yields the names and texts of the files to train on. The names mix the files of all packages."""
    found = set(library())
    for package in PACKAGES:
        files = list(files_of(package))
        share = LARGEST_SHARE / max(1, sum(map(len, files)))
        found.update(text for text in files if digest(text) / 2**256 < share)
    for text in found:
        yield f"{digest(text):064x}", text


def unread() -> Iterator[tuple[str, str]]:
    """Yields the names and texts of the packages that are left out."""
    for package in UNREAD:
        yield package, "\n".join(files_of(package))


def library() -> Iterator[str]:
    """Yields the useful files of the standard library."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8", errors="replace")
        if SKIPPED.isdisjoint(path.relative_to(folder).parts) and is_useful(text):
            yield text


def wheel_of(package: str) -> ZipFile:
    """Downloads a package, unless it was downloaded before, and opens its wheel."""
    folder = BUILD / "packages" / package
    if not folder.exists():
        options = ["--no-deps", "--only-binary", ":all:", "--dest", folder, package]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *options], check=True)
    (wheel,) = folder.glob("*.whl")
    return ZipFile(wheel)


def files_of(package: str) -> Iterator[str]:
    """Yields the useful files of a package."""
    with wheel_of(package) as archive:
        for name in archive.namelist():
            parts = name.split("/")
            is_test = parts[-1].startswith(("test_", "conftest"))
            if name.endswith(".py") and SKIPPED.isdisjoint(parts) and not is_test:
                text = archive.read(name).decode("utf-8", "replace")
                if is_useful(text):
                    yield text


def licences() -> Iterator[str]:
    """Yields the licences of the standard library and of all packages to train on; equal texts only once."""
    library = Path(sysconfig.get_path("stdlib"), "LICENSE.txt").read_text(encoding="utf-8")
    holders: dict[str, list[str]] = {library: ["Python 3.11"]}
    for package in PACKAGES:
        with wheel_of(package) as archive:
            for name in archive.namelist():
                if _LICENCE.fullmatch(name):
                    text = archive.read(name).decode()
                    holders.setdefault(text, []).append(package)
    for text, names in holders.items():
        title = ", ".join(names)
        yield f"{title}\n{'=' * len(title)}\n\n{text}"


def is_useful(text: str) -> bool:
    longest = max(map(len, text.splitlines()), default=0)
    return SHORTEST_FILE <= len(text) <= LONGEST_FILE and longest <= LONGEST_LINE


def digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest(), "big")


if __name__ == "__main__":
    main()
