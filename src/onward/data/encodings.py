"""Opens text files: compressed or plain, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

The content is UTF-8 without a mark. Bytes that are not UTF-8 pass through: each reader decides what to do
with them. UTF-16 without a mark is refused if it is recognised.
"""

import codecs
import io
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from onward.data.compressed import decompressed
from onward.errors import CorpusError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32LE",  # before UTF-16LE, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32BE",
    codecs.BOM_UTF16_LE: "UTF-16LE",
    codecs.BOM_UTF16_BE: "UTF-16BE",
}
_PRINTABLE = frozenset(b"\t\n\r") | set(range(0x20, 0x7F)) | set(range(0xA0, 0x100))
_FEWEST, _SHARE = 8, 0.9
"""A file counts as UTF-16 without a mark if it begins with `_FEWEST` or more characters of UTF-16, none of
them NUL, and at least this share of them printable Latin-1."""

_TESTED_BYTES = 512
_PIECE = 1 << 16


def open_text(path: Path) -> io.BufferedReader:
    """Opens a text file for reading, as UTF-8.

    Raises:
        OSError: the file cannot be opened. Reading may raise it too.
        CorpusError: see `text_of`.
    """
    return text_of(path.open("rb"), path)


def text_of(file: io.BufferedIOBase | BinaryIO, path: Path, *, grows: bool = False) -> io.BufferedReader:
    """Returns the content of an open file as UTF-8: the file itself if it is a plain file in UTF-8.

    Closing the result closes the file.

    Args:
        file: the file, at its first byte.
        path: path of the file, for error messages.
        grows: whether the file may grow. Then its last character may be incomplete, and a byte order mark of
            UTF-8 is part of the content, so that positions in the file count it.

    Raises:
        CorpusError: the file is a damaged archive, or in UTF-16 without a mark. Reading raises it for damage,
            and for bytes that are not a character of UTF-16 or UTF-32.
    """
    plain = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    content = decompressed(plain, path)
    head = content.peek(_TESTED_BYTES)[:_TESTED_BYTES]
    if head.startswith(codecs.BOM_UTF8) and not grows:
        content.read(len(codecs.BOM_UTF8))
    if mark := _mark_of(head):
        return io.BufferedReader(_Transcoded(content, path, mark, grows=grows))
    if encoding := _unmarked(head):
        content.close()
        raise CorpusError(
            f"expected UTF-8, or UTF-16 with a byte order mark, in {path}; "
            f"got {encoding} without a mark: about every second byte is 0",
            hint=f"convert it: iconv -f {encoding} -t UTF-8 FILE > NEW_FILE",
        )
    return content


def is_text(head: bytes) -> bool:
    """Whether the beginning of a file is text: no NUL, or UTF-16 or UTF-32 with a mark."""
    if mark := _mark_of(head):
        try:
            codecs.getincrementaldecoder(_MARKS[mark])().decode(head[len(mark) :])
        except UnicodeDecodeError:
            return False
        return True
    return b"\0" not in head


def _unmarked(head: bytes) -> str:
    """Returns the encoding of a file in UTF-16 without a mark; "" if it is not certain."""
    first, second = head[0 : len(head) // 2 * 2 : 2], head[1::2]
    for encoding, low, high in (("UTF-16LE", first, second), ("UTF-16BE", second, first)):
        pairs = list(zip(low, high, strict=True))
        latin = sum(not above and below in _PRINTABLE for below, above in pairs)
        if len(pairs) >= _FEWEST and latin >= _SHARE * len(pairs) and (0, 0) not in pairs:
            return encoding
    return ""


def _mark_of(head: bytes) -> bytes:
    """Returns the byte order mark of UTF-16 or UTF-32 at the beginning of a file; b"" if there is none."""
    return next((mark for mark in _MARKS if head.startswith(mark)), b"")


class _Transcoded(io.RawIOBase):
    """The content of a file in UTF-16 or UTF-32, as UTF-8 without a mark."""

    def __init__(self, content: io.BufferedReader, path: Path, mark: bytes, *, grows: bool) -> None:
        super().__init__()
        self._content, self._path, self._grows = content, path, grows
        self._encoding = _MARKS[mark]
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._decoded = len(content.read(len(mark)))  # bytes of whole characters so far, with the mark
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._ready:
            piece = self._content.read1(_PIECE)
            self._ready = memoryview(self._decode(piece).encode())
            if not piece:
                return 0
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _decode(self, piece: bytes) -> str:
        waiting = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(piece, final=not piece and not self._grows)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"expected {self._encoding} in {self._path}, as its byte order mark says; "
                f"the bytes at offset {self._decoded + error.start:,} are not a character ({error.reason})",
                hint=f"to leave out such bytes: iconv -c -f {self._encoding} -t UTF-8 FILE > NEW_FILE",
            ) from error
        self._decoded += waiting + len(piece) - len(self._decoder.getstate()[0])
        return text

    def close(self) -> None:
        if not self.closed:
            self._content.close()
        super().close()
