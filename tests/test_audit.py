"""The audit of dependencies: it never reports an audit that did not take place."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.documentation import ROOT

SAFE = {"name": "numpy", "version": "2.0", "vulns": []}
VULNERABLE = {
    "name": "jinja2",
    "version": "3.1.5",
    "vulns": [{"id": "CVE-2025-27516", "fix_versions": ["3.1.6"]}],
}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited"}
OWN = {"name": "onward", "skip_reason": "distribution marked as editable"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SAFE, OWN], 0, "installed: 0 of 1 audited packages are vulnerable"),
        ([SAFE, VULNERABLE], 1, "lower bounds: jinja2 3.1.5: CVE-2025-27516 (fixed in 3.1.6)"),
        ([SAFE, UNKNOWN, OWN], 2, "installed: not audited, since PyPI had no answer: torch\n"),
        ([UNKNOWN] * 7, 2, "torch and 2 more"),
    ],
)
def test_the_exit_code_tells_what_was_found_and_whether_all_was_audited(
    packages: list[dict[str, Any]], code: int, said: str, tmp_path: Path
) -> None:
    ran = audit(tmp_path, f"echo '{json.dumps({'dependencies': packages})}'")
    assert ran.returncode == code
    assert said in ran.stdout + ran.stderr


def test_an_audit_that_fails_is_an_error(tmp_path: Path) -> None:
    ran = audit(tmp_path, "echo 'ERROR: no connection' >&2; exit 1")
    assert ran.returncode == 2
    assert "pip-audit failed: ERROR: no connection" in ran.stderr


def audit(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Runs the audit with a program in place of pip-audit."""
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), str(program)]
    return subprocess.run(command, check=False, capture_output=True, text=True)
