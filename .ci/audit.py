"""Looks for known vulnerabilities of the dependencies: as installed, and at their lower bounds.

    python .ci/audit.py PIP_AUDIT

PIP_AUDIT is the program of that name. It asks PyPI about each package. Exit codes: 0 if no vulnerability is
known, 1 if there are some, and 2 if not all packages could be audited, for instance because a mirror of PyPI
does not offer this service. pip-audit itself exits with 0 then.
"""

import json
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from lower_bounds import constraints

ROOT = Path(__file__).parents[1]
NONE_KNOWN, VULNERABLE, NOT_AUDITED = 0, 1, 2


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as bounds:
        bounds.write("\n".join(constraints(project["dependencies"], free=())) + "\n")
        bounds.flush()
        return max(
            audit("installed", "--path", sysconfig.get_path("purelib"), "--skip-editable"),
            audit("lower bounds", "--requirement", bounds.name, "--no-deps", "--disable-pip"),
        )


def audit(what: str, *options: str) -> int:
    """Audits packages, prints the result, and returns an exit code."""
    command = [sys.argv[1], "--progress-spinner", "off", "--format", "json", *options]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        print(f"error: {what}: pip-audit failed: {ran.stderr.strip()}", file=sys.stderr)
        return NOT_AUDITED
    packages = [package for package in packages if "editable" not in package.get("skip_reason", "")]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        print(f"{what}: {describe(package)}")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    print(f"{what}: {len(vulnerable)} of {len(packages) - len(unknown)} audited packages are vulnerable")
    if unknown:
        shown = ", ".join(unknown[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        print(f"error: {what}: not audited, since PyPI had no answer: {shown}", file=sys.stderr)
        print("hint: run this where https://pypi.org/pypi/NAME/json can be reached", file=sys.stderr)
        return NOT_AUDITED
    return VULNERABLE if vulnerable else NONE_KNOWN


def describe(package: dict[str, Any]) -> str:
    found = (
        f"{one['id']} (fixed in {', '.join(one['fix_versions']) or 'no version'})" for one in package["vulns"]
    )
    return f"{package['name']} {package['version']}: {'; '.join(found)}"


if __name__ == "__main__":
    sys.exit(main())
