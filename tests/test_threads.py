"""Threads sleep while they wait, and a forked process works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
needs_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="OpenMP does not spin on a single core")

WAITING = """
import time
import onward, torch
from onward.layers import kernels

x = torch.randn(256, 8, 1024)
waited = 0.0
for _ in range(20):
    {operation}
    started = time.process_time()
    time.sleep(0.02)
    waited += time.process_time() - started
print(waited)
"""
"""Prints the processor time of all threads while the process waits between operations."""

CHILDREN = """
import os, signal, sys
from pathlib import Path
import onward, torch

text = "a state is a value and lanes go on " * 500
Path("text.txt").write_text(text)
options = {"width": 128, "layers": 1, "lanes": 32, "block": 64, "steps": 2}
model = onward.train("text.txt", output="parent.onward", **options)
before = model.score(text).nats

def train():
    return onward.train("text.txt", output="child.onward", **options).write("a ", length=5)

work = {
    "score": lambda: abs(model.score(text).nats / before - 1) < 1e-3,
    "write": lambda: model.write("a state", length=20),
    "complete": lambda: model.complete("a sta").best,
    "load": lambda: onward.load("parent.onward").score(text),
    "train": train,
}
assert torch.get_num_threads() == 2
for name, function in work.items():
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if function() else 1)
    print(name, os.waitpid(child, 0)[1])
"""


def run(program: str, folder: Path, **environment: str) -> str:
    """Returns the output of a Python program that uses two threads."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))}
    variables = inherited | {"OMP_NUM_THREADS": "2"} | environment
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=variables, cwd=folder, timeout=300
    ).stdout


def test_openmp_is_told_to_let_threads_sleep_unless_the_user_chose(tmp_path: Path) -> None:
    program = "import os, onward; print(os.environ['OMP_WAIT_POLICY'], os.environ.get('GOMP_SPINCOUNT'))"
    assert run(program, tmp_path).split() == ["passive", "1000"]
    assert run(program, tmp_path, GOMP_SPINCOUNT="0").split() == ["passive", "0"]
    assert run(program, tmp_path, OMP_WAIT_POLICY="active").split() == ["active", "None"]


@pytest.mark.slow
@needs_cores
@pytest.mark.parametrize("operation", ["torch.relu(x)", "kernels.gated_unit(x)"])
def test_threads_sleep_while_they_wait(operation: str, tmp_path: Path) -> None:
    program = WAITING.format(operation=operation)
    assert float(run(program, tmp_path)) < 0.02


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries of OpenMP differ")
@needs_cores
def test_the_environment_can_make_threads_spin(tmp_path: Path) -> None:
    program = WAITING.format(operation="torch.relu(x)")
    assert float(run(program, tmp_path, OMP_WAIT_POLICY="active")) > 0.1


@pytest.mark.slow
@needs_fork
def test_a_forked_process_works_after_its_parent_has_used_several_threads(tmp_path: Path) -> None:
    lines = run(CHILDREN, tmp_path, ONWARD_CACHE=str(tmp_path / "cache")).splitlines()
    assert lines == ["score 0", "write 0", "complete 0", "load 0", "train 0"]
