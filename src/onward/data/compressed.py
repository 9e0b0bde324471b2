"""Reads compressed files (gzip, xz, bzip2, zstandard) as if they were plain files.

The first bytes of a file determine its format, so renamed archives and compressed pipes work too. Content is
decompressed while it is read, so memory does not grow with the file.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from onward.errors import CorpusError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC_NUMBERS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),  # the second alternative is an empty archive
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or a skippable frame
}
"""The first bytes of each format."""

_FORMAT_OF_SUFFIX = {".gz": "gzip", ".xz": "xz", ".bz2": "bz2", ".zst": "zstd"}

_TESTED_BYTES = 512
"""Bytes from which the format of a file is determined."""

_PIECES = {"gzip": 1 << 12, "xz": 1 << 16, "bz2": 1 << 16, "zstd": 1 << 8}
"""Compressed bytes to read at once. A byte may expand to 1 KiB by gzip, and to 32 KiB by zstandard."""

_CONTENT = 1 << 16
"""Bytes of content to decompress at once, for xz and bzip2: a few of their bytes may expand to gigabytes."""

_XZ_BYTES = 1 << 28
"""Maximum memory in bytes for decompressing xz. A file states what it needs: after `xz -9`, a quarter."""


def decompressed(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    """Returns the content of an open file: decompressed if it is compressed, else the file itself.

    Closing the result closes the file.

    Args:
        file: the file, at its first byte.
        path: path of the file, for error messages.

    Raises:
        CorpusError: the file is named like an archive, but its content is neither an archive nor text.
            Reading raises it where the content is damaged.
    """
    head = file.peek(_TESTED_BYTES)[:_TESTED_BYTES]
    for name, magic_number in _MAGIC_NUMBERS.items():
        if magic_number.match(head):
            return io.BufferedReader(_Archive(file, path, name))
    if path.suffix in _FORMAT_OF_SUFFIX and not _is_text(head):
        file.close()
        raise _damaged(path, _FORMAT_OF_SUFFIX[path.suffix], "its first bytes are wrong")
    return file


class _Frame(Protocol):
    """A frame of a compressed file, with the interface of the decompressors of bz2 and lzma.

    Attributes:
        eof: whether the end of the frame was reached.
        needs_input: whether all content of the bytes so far was returned.
        unused_data: the bytes after the end of the frame.
    """

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Returns the next content; xz and bzip2 return at most `max_length` bytes."""
        ...


class _WholeFrame:
    """A frame of zlib or zstandard. Each call returns the whole content of the given bytes."""

    def __init__(self, decompressor: Any) -> None:
        self._decompressor = decompressor

    needs_input = True

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._decompressor.decompress(data)


class _Archive(io.RawIOBase):
    """The content of all frames of a compressed file. Zeros after a frame are padding.

    The readers of the standard library ignore other bytes after the last frame of bzip2 and xz, and that of
    zstandard ends after the first frame. Damage raises CorpusError, whatever the library raises.
    """

    def __init__(self, file: io.BufferedReader, path: Path, name: str) -> None:
        super().__init__()
        self._file, self._path, self._name = file, path, name
        self._new_frame = _frames_of(name)
        self._frame: _Frame | None = None  # None: between frames
        self._frames = 0  # that have ended
        self._compressed = b""  # read, and not decompressed yet
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        while not self._ready:
            if self._frame is None or self._frame.needs_input:
                piece: bytes | None = self._compressed or self._file.read(_PIECES[self._name])
                if piece is None:  # a pipe has no bytes yet
                    return None
                self._compressed = piece
                if not self._compressed:
                    if self._frame:
                        raise _damaged(self._path, self._name, "it ends within a frame")
                    return 0
            self._ready = memoryview(self._decompress())
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _decompress(self) -> bytes:
        """Returns the next content of the compressed bytes, up to the end of a frame."""
        if self._frame is None:
            self._compressed = self._compressed.lstrip(b"\0")
            if not self._compressed:
                return b""
            self._frame = self._new_frame()
        try:
            content = self._frame.decompress(self._compressed, _CONTENT)
        except Exception as error:  # each library has its own
            after = f"after the end of part {self._frames}: " if self._frames else ""
            raise _damaged(self._path, self._name, f"{after}{error}") from error
        self._compressed = b""
        if self._frame.eof:
            self._compressed, self._frame = self._frame.unused_data, None
            self._frames += 1
        return content

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _frames_of(name: str) -> Callable[[], _Frame]:
    """Returns a function that begins a frame. Each library is loaded when it is first needed."""
    match name:
        case "gzip":
            import zlib  # noqa: PLC0415

            return lambda: _WholeFrame(zlib.decompressobj(16 + zlib.MAX_WBITS))
        case "xz":
            import lzma  # noqa: PLC0415

            return lambda: lzma.LZMADecompressor(memlimit=_XZ_BYTES)
        case "bz2":
            import bz2  # noqa: PLC0415

            return bz2.BZ2Decompressor
        case _:
            import zstandard  # noqa: PLC0415

            return lambda: _WholeFrame(zstandard.ZstdDecompressor().decompressobj())


def _is_text(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8 without NUL. The last character may be incomplete."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) - error.start < 4 and error.reason == "unexpected end of data"
    return b"\0" not in head


def _damaged(path: Path, name: str, reason: str) -> CorpusError:
    return CorpusError(
        f"expected {name} data in {path}, but the file is damaged: {reason}",
        hint="copy or download the file again; if it is not compressed, rename it",
    )
