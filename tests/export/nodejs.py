"""Runs the engine and the scripts of exported pages under Node."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onward.export
from onward.export.page import page_script
from onward.export.program import portable_program
from onward.model import LanguageModel

EXPORT = Path(onward.export.__file__).parent
WASM = EXPORT / "step.wasm"

needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="needs Node (Debian: apt install nodejs)"
)

_SCRIPT = """
const { readFileSync, writeFileSync } = await import("node:fs");
const [engine, wasm, folder] = process.argv.slice(1);
const { Engine } = await import("data:text/javascript;base64," + readFileSync(engine, "base64"));
const given = JSON.parse(readFileSync(folder + "/given.json"));
const made = await Engine.load(readFileSync(wasm), given.program, readFileSync(folder + "/weights"));
const [lanes, steps] = [given.ids[0].length, given.ids.length];
const states = Array.from({ length: lanes }, () => made.emptyState());
const logits = new Float32Array(steps * lanes * made.symbols);
given.ids.forEach((ids, step) => made.step(states, ids).forEach((row, lane) =>
  logits.set(row, (step * lanes + lane) * made.symbols)));
writeFileSync(folder + "/logits", logits);
const state = made.emptyState();
let id = given.ids[0][0];
const options = { temperature: 0.8, never: 4 };
const drawn = given.chances.map((chance) => (id = made.write(state, id, { ...options, chance })));
console.log(JSON.stringify(drawn));
"""


def run_engine(
    model: LanguageModel, ids: np.ndarray, chances: np.ndarray, folder: Path, wasm: Path = WASM
) -> tuple[np.ndarray, list[int]]:
    """Steps a model under Node, and then writes with it.

    Args:
        model: the model.
        ids: symbols to read, (T, B).
        chances: random numbers for the symbols to write after the first of `ids`, (n,).
        folder: an empty folder.
        wasm: the module.

    Returns:
        The logits, (T, B, V), and the ids that were written.
    """
    program, weights = portable_program(model)
    given = {"program": program, "ids": ids.tolist(), "chances": chances.tolist()}
    (folder / "given.json").write_text(json.dumps(given))
    (folder / "weights").write_bytes(weights)
    command = ["node", "--input-type=module", "--eval", _SCRIPT, "--"]
    paths = [EXPORT / "static" / "engine.js", wasm, folder]
    drawn = _output([*command, *map(str, paths)])
    logits = np.fromfile(folder / "logits", np.float32).reshape(*ids.shape, -1)
    return logits, drawn


_ASK = """
const { readFileSync } = await import("node:fs");
const given = JSON.parse(readFileSync(0));
globalThis.document = { getElementById: (id) => ({ textContent: given.contents[id] }) };
const api = new api_js.Api();
await api.models();
const answers = [];
for (const [name, ...values] of given.requests) {
  if (name === "complete") {
    let text = "";
    for await (const piece of api.complete(...values, new AbortController().signal)) text += piece;
    answers.push(text);
  } else if (name === "leave") {
    const controller = new AbortController();
    const left = api.score(...values, controller.signal).catch((error) => error.name);
    controller.abort();
    answers.push(await left);
  } else {
    answers.push(await api[name](...values));
  }
}
process.stdout.write(JSON.stringify(answers), () => process.exit());
"""


def ask_page(page: Path, *requests: tuple[Any, ...]) -> list[Any]:
    """Returns the answers of an exported page's `Api` to requests.

    A request is the name of a method and its arguments; "leave" begins to score a text and aborts.
    """
    html = page.read_text(encoding="utf-8")
    found = re.findall(r'<script type="application/[^"]+" id="(\w+)">(.*?)</script>', html, re.DOTALL)
    given = json.dumps({"contents": dict(found), "requests": requests})
    return _output(["node", "--input-type=module", "--eval", page_script("api.js") + _ASK], given)


def run_script(script: str) -> Any:
    """Runs a script, and returns the JSON that it prints."""
    return _output(["node", "--input-type=module", "--eval", script])


def _output(command: list[str], given: str = "") -> Any:
    """Runs a command, and returns the JSON that it prints."""
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
