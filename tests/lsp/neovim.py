"""Neovim without a window, driven over its own RPC."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvim

import onward.lsp

PLUGIN = Path(onward.lsp.__file__).parent / "static" / "onward.lua"
NVIM = Path(sys.executable).with_name("nvim")


class Neovim:
    """A running Neovim with the plugin of onward.

    Args:
        folder: a folder for its configuration.
        options: of the plugin, as Lua.

    Attributes:
        api: sends requests to it.
    """

    def __init__(self, folder: Path, options: str = "") -> None:
        (folder / "lua").mkdir(parents=True)
        (folder / "lua" / "onward.lua").write_text(PLUGIN.read_text(encoding="utf-8"), encoding="utf-8")
        start = folder / "init.lua"
        command = f'{{ "{sys.executable}", "-m", "onward", "lsp", "--model", "python" }}'
        start.write_text(
            f'vim.opt.rtp:prepend("{folder}")\nrequire("onward").setup({{ cmd = {command}, {options} }})\n',
            encoding="utf-8",
        )
        os.environ |= {"OMP_NUM_THREADS": "1"}
        command = [str(NVIM), "--embed", "--headless", "-n", "-u", str(start)]
        self.api: Any = pynvim.attach("child", argv=command)

    @property
    def line(self) -> str:
        """The line at the cursor."""
        return self.api.current.line

    @property
    def ghost_text(self) -> str | None:
        """The ghost text that is shown."""
        return self.api.exec_lua("return require('onward').visible()")

    @property
    def drawn(self) -> list[tuple[int, int, str]]:
        """The row, the column in bytes and the text of each virtual text in the buffer."""
        namespace = self.api.api.create_namespace("onward")
        marks = self.api.api.buf_get_extmarks(0, namespace, 0, -1, {"details": True})
        return [(row, column, details["virt_text"][0][0]) for _, row, column, details in marks]

    def type(self, keys: str) -> None:
        """Types keys, in Neovim's notation."""
        self.api.input(keys)

    def wait_until(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Waits until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"timed out: {self.line!r}, {self.ghost_text!r}"
            time.sleep(0.02)

    def wait_for_model(self) -> None:
        """Types a line until ghost text is shown, and removes it."""
        self.type("ofor name in sys.ar")

        def shows() -> str | None:
            self.type("x<BS>")
            time.sleep(0.2)
            return self.ghost_text

        self.wait_until(shows, 60)
        self.type("<Esc>dd")

    def end(self) -> str:
        """Ends Neovim, and returns its messages."""
        messages = self.api.command_output("messages")
        self.api.command("qa!", async_=True)
        self.api.close()
        return messages
