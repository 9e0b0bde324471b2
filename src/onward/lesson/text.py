"""Reads the text of the lesson as the lesson did: symbols are bytes, and id 0 is a null symbol."""

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
"""Share of the text that is held out, at its end. The lesson held out nothing."""


@dataclass(frozen=True)
class LessonText:
    """A text as integers.

    Attributes:
        name: name of the corpus.
        ids: (N,); the null symbol 0 does not occur.
        symbols: the byte of each id, with NUL for id 0.
    """

    name: str
    ids: Tensor
    symbols: bytes

    def encode(self, text: str) -> Tensor:
        """Returns the ids of a text, (N,); bytes that are not in the corpus become the null symbol."""
        return torch.tensor([max(0, self.symbols.find(byte)) for byte in text.encode()])

    def decode(self, ids: Tensor) -> str:
        """Returns the text of ids (N,)."""
        return bytes(self.symbols[i] for i in ids.tolist()).decode(errors="replace")

    def split(self, held_out: float = HELD_OUT) -> tuple["LessonText", "LessonText"]:
        """Returns the text for training, and the end of the text as held-out text."""
        cut = round(len(self.ids) * (1 - held_out))
        return LessonText(self.name, self.ids[:cut], self.symbols), LessonText(
            self.name, self.ids[cut:], self.symbols
        )


def read_text(name: str = "nietzsche", *, lower: bool = False) -> LessonText:
    """Reads a named corpus, or the built-in one if the named one is not available.

    The lesson's text has 600,901 bytes with 85 different values. With the null symbol, that makes 86 symbols.
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
    return LessonText(name, torch.from_numpy(ids + 1), b"\0" + kinds.tobytes())


def data_folder(name: str, file: str, what: str) -> Path:
    """Returns the folder of a data set below $ONWARD_DATA.

    Args:
        name: name of the folder.
        file: one of its files, which must exist.
        what: description of the data set, for the message.

    Raises:
        CorpusError: the file is missing.
    """
    folder = Path(os.environ.get("ONWARD_DATA", "")) / name
    if not (folder / file).is_file():
        raise CorpusError(
            f"expected {file} in {folder}, but it is missing", hint=f"put {what} into $ONWARD_DATA/{name}"
        )
    return folder
