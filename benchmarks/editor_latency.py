"""How long does ghost text take in Neovim, from a key to the answer?

    python benchmarks/editor_latency.py [--model python] [--files 1000] [--keys 600] [--rate 10]

The workspace has files of Python's standard library. Neovim starts with the plugin of `onward lsp`, without a
window, and waits for the first ghost text and for the files of the workspace. Then the end of another file of
the library is typed at the given rate, keys a second. Neovim itself measures each time, from the key until
the plugin has drawn the answer, which may be that no text is likely enough. A key whose answer does not come
before the next key counts with the time until then.

The model has read the library, so the figures say nothing about the quality of the ghost text.
"""

import os
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pynvim

import onward.lsp
from record import command_line, record

TYPED = "tarfile.py"
CONTEXT = 200  # lines of the file that are there before the typing
MEASURE = """
local keyed, times, shown = nil, {}, 0
vim.on_key(function(_, typed)
  if typed and typed ~= "" then
    if keyed then
      table.insert(times, (vim.uv.hrtime() - keyed) / 1e6)
    end
    keyed = vim.uv.hrtime()
  end
end)
vim.api.nvim_create_autocmd("User", { pattern = "OnwardAnswer", callback = function()
  if keyed then
    table.insert(times, (vim.uv.hrtime() - keyed) / 1e6)
    shown = shown + (require("onward").visible() and 1 or 0)
    keyed = nil
  end
end })
_G.measured = function()
  local result = { times = times, shown = shown }
  keyed, times, shown = nil, {}, 0
  return result
end
"""


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--model", default="python")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--keys", type=int, default=600)
    parser.add_argument("--rate", type=float, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        typed = filled(root / "workspace", arguments.files)
        record("editor_latency", measured(root, typed, arguments))


def filled(workspace: Path, count: int) -> Path:
    """Copies files of the standard library to a workspace, and returns one that it does not have."""
    library = Path(sysconfig.get_path("stdlib"))
    typed = library / TYPED
    paths = sorted(path for path in library.rglob("*.py") if 2_000 < path.stat().st_size < 60_000)
    paths = [path for path in paths if path != typed]
    (workspace / ".git").mkdir(parents=True)
    for number, path in enumerate(paths[:count]):
        (workspace / f"file{number}.py").write_bytes(path.read_bytes())
    return typed


def measured(root: Path, typed: Path, arguments: Any) -> dict[str, Any]:
    lines = typed.read_text(encoding="utf-8").splitlines()
    target = root / "workspace" / "typed.py"
    target.write_text("\n".join(lines[:CONTEXT]) + "\n", encoding="utf-8")
    started = time.monotonic()
    api = neovim(root, arguments.model)
    api.command(f"edit {root / 'workspace' / 'first.py'}")
    seconds = wait_for_text(api, started)
    megabytes = wait_for_files(api)
    api.command(f"edit! {target}")
    api.input("Go")
    time.sleep(5)  # the model reads the file
    api.exec_lua(MEASURE)
    text = "\n".join(lines[CONTEXT:])[: arguments.keys]
    for key in text:
        api.input({"\n": "<CR><C-u>", "<": "<lt>"}.get(key, key))
        time.sleep(1 / arguments.rate)
    found = api.exec_lua("return measured()")
    megabytes = max(megabytes, server_megabytes(api))
    api.command("qa!", async_=True)
    return {
        "model": arguments.model,
        "files": arguments.files,
        "keys": len(found["times"]),
        "keys_per_second": arguments.rate,
        "milliseconds": {
            f"p{part}": round(float(np.percentile(found["times"], part)), 2) for part in (50, 95, 99)
        },
        "shown": round(found["shown"] / len(found["times"]), 3),
        "seconds_to_first": round(seconds, 2),
        "megabytes": round(megabytes),
    }


def neovim(root: Path, model: str) -> Any:
    """Starts Neovim with the plugin."""
    plugin = Path(onward.lsp.__file__).parent / "static" / "onward.lua"
    (root / "lua").mkdir()
    (root / "lua" / "onward.lua").write_bytes(plugin.read_bytes())
    command = ", ".join(f'"{part}"' for part in (sys.executable, "-m", "onward", "lsp", "--model", model))
    start = root / "init.lua"
    start.write_text(f'vim.opt.rtp:prepend("{root}")\nrequire("onward").setup({{ cmd = {{ {command} }} }})\n')
    program = Path(sys.executable).with_name("nvim")
    return pynvim.attach("child", argv=[str(program), "--embed", "--headless", "-n", "-u", str(start)])


def wait_for_text(api: Any, started: float) -> float:
    """Types until there is ghost text, and returns the seconds until then."""
    api.input("iimport sys<CR><CR>for name in sys.ar")
    while not api.exec_lua("return require('onward').visible()"):
        api.input("x<BS>")
        time.sleep(0.2)
    seconds = time.monotonic() - started
    api.input("<Esc>")
    return seconds


def wait_for_files(api: Any) -> float:
    """Waits until the server has read the workspace, and returns its greatest size meanwhile."""
    greatest, busy = 0.0, server_seconds(api)
    while True:
        time.sleep(2)
        greatest = max(greatest, server_megabytes(api))
        if (now := server_seconds(api)) - busy < 0.2:
            return greatest
        busy = now


def server_process(api: Any) -> Path:
    """Returns the folder of the server's process in /proc."""
    parent = str(api.funcs.getpid())
    for folder in Path("/proc").glob("[0-9]*"):
        status = (folder / "stat").read_text().rpartition(")")[2].split()
        if status[1] == parent and b"lsp" in (folder / "cmdline").read_bytes():
            return folder
    raise SystemExit("the language server has ended")


def server_megabytes(api: Any) -> float:
    pages = int((server_process(api) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def server_seconds(api: Any) -> float:
    times = (server_process(api) / "stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
