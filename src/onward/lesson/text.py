"""The lesson's text as the lesson read it: bytes, sorted, behind a null symbol."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from onward.data.corpus import find_sources
from onward.data.named import BUILT_IN
from onward.errors import CorpusError

HELD_OUT = 0.05
"""Share of the text, its end, that the rungs do not train on but are also judged by; the lesson had none."""


@dataclass(frozen=True)
class Text:
    """A text as integers.

    Attributes:
        name: of the corpus.
        ids: (N,), 0 is the null symbol and does not occur.
        symbols: the byte of each id; that of id 0 is NUL.
    """

    name: str
    ids: Tensor
    symbols: bytes

    def encode(self, text: str) -> Tensor:
        """The ids of a text, (N,); what the corpus does not have is the null symbol."""
        return torch.tensor([max(0, self.symbols.find(byte)) for byte in text.encode()])

    def decode(self, ids: Tensor) -> str:
        """The text of ids (N,)."""
        return bytes(self.symbols[i] for i in ids.tolist()).decode(errors="replace")

    def split(self, held_out: float = HELD_OUT) -> tuple["Text", "Text"]:
        """The text without its end, and its end, of that share."""
        cut = round(len(self.ids) * (1 - held_out))
        return Text(self.name, self.ids[:cut], self.symbols), Text(self.name, self.ids[cut:], self.symbols)


def read_text(name: str = "nietzsche", *, lower: bool = False) -> Text:
    """The named corpus, or the built-in one where it is not at hand.

    On the lesson's own file: 600,901 bytes of 85 kinds, so 86 symbols.
    """
    try:
        (path,) = find_sources([name]).documents
    except CorpusError:
        name = BUILT_IN
        (path,) = find_sources([name]).documents
    content = path.read_bytes()
    if lower:
        content = content.decode().lower().encode()
    kinds, ids = np.unique(np.frombuffer(content, np.uint8), return_inverse=True)
    return Text(name, torch.from_numpy(ids + 1), b"\0" + kinds.tobytes())


def data_folder(name: str, file: str, what: str) -> Path:
    """Where a data set lies, below $ONWARD_DATA.

    Args:
        name: of its folder.
        file: one of its files, which is looked for.
        what: the set is, for the message.

    Raises:
        CorpusError: it is not there.
    """
    folder = Path(os.environ.get("ONWARD_DATA", "")) / name
    if not (folder / file).is_file():
        raise CorpusError(f"there is no {file} in {folder}", hint=f"put {what} at $ONWARD_DATA/{name}")
    return folder
