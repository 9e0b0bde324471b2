"""Runs each part of an installed onward once, on small data: `PYTHON .ci/smoke.py [--compiled]`.

It tests the environment of PYTHON, and does not import the checkout. `--compiled` also requires that the
compiled kernels load.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

TRAIN = ("--recipe", "tiny", "--steps", "20")
NORMAL = "open read close\nopen read read close\nopen write close\n" * 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--compiled", action="store_true", help="fail unless the compiled kernels load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if options.compiled:
            python(home, "from onward.layers.kernels import compiled; assert compiled.available")
            python(home, "from onward.inference.novelty import automaton; assert automaton.available")
        text_commands(home)
        watch_commands(home)
        server(home)
    print("smoke test passed")


def text_commands(home: Path) -> None:
    onward(home, "train", "pydoc", "-o", "pydoc.onward", *TRAIN)
    (home / "text.txt").write_text(onward(home, "write", "pydoc.onward", "--length", "200"))
    onward(home, "complete", "pydoc.onward", "--prime", "the excep", "--json")
    onward(home, "score", "pydoc.onward", "text.txt", "--json")
    onward(home, "score", "pydoc.onward", "text.txt", "--html", "text.html")
    onward(home, "export", "pydoc.onward")
    onward(home, "novelty", "text.txt", "--corpus", "text.txt")
    onward(home, "info", "pydoc.onward", "--json")
    onward(home, "draw", "pydoc.onward", "-o", "pydoc.png")
    onward(home, "lesson")
    python(home, "import onward; print(onward.load('pydoc.onward').write('The ', length=20))")


def watch_commands(home: Path) -> None:
    (home / "normal.txt").write_text(NORMAL)
    (home / "new.txt").write_text("open read close\nopen format close\n")
    (home / "app.log").write_text(
        "".join(f"Jan  2 03:04:{i % 60:02d} host app[{i}]: took {i} ms\n" for i in range(60))
    )
    learn = ("--false-alarms", "10%", "--steps", "10")
    onward(home, "watch", "learn", "normal.txt", "-o", "normal.onward", *learn)
    onward(home, "watch", "run", "normal.onward", "new.txt", expected=(0, 3))
    onward(home, "watch", "learn", "app.log", "--log", "-o", "log.onward", *learn)
    onward(home, "watch", "run", "log.onward", "app.log", expected=(0, 3))


def server(home: Path) -> None:
    command = [sys.executable, "-m", "onward", "serve", "pydoc.onward", "normal.onward", "--port", "0"]
    with subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            line = process.stderr.readline()
            assert line.startswith("serving http"), line + process.stderr.read()
            address = line.split()[1].rstrip("/")
            written = post(f"{address}/v1/completions", {"prompt": "The ", "max_tokens": 5})
            assert written["choices"], written
            assert post(f"{address}/v1/sessions", {"text": "the excep"})["completions"] is not None
            assert post(f"{address}/v1/watch", {"lines": ["open format close"]})["records"]
            for path in ("/", "/watch", "/healthz", "/metrics", "/openapi.json"):
                with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
                    assert answer.status == 200 and answer.read(), path
        finally:
            process.terminate()


def post(address: str, body: dict) -> dict:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def onward(home: Path, *arguments: str, expected: tuple[int, ...] = (0,)) -> str:
    print("+ onward", *arguments, flush=True)
    return run(home, ["-m", "onward", *arguments], expected)


def python(home: Path, code: str) -> str:
    print("+ python -c", code, flush=True)
    return run(home, ["-c", code], (0,))


def run(home: Path, arguments: list[str], expected: tuple[int, ...]) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=home, capture_output=True, text=True, check=False)
    if done.returncode not in expected:
        sys.exit(f"expected exit code {expected}, received {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
