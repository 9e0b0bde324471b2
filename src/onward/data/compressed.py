"""Reads compressed files (gzip, xz, bzip2, zstandard) as if they were plain files.

The first bytes of a file determine its format, so renamed archives and compressed pipes work too. Content is
decompressed while it is read, so memory does not grow with the file.
"""

import io
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from onward.errors import CorpusError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC_NUMBERS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),  # the second alternative is an empty archive
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # a frame, or a skippable frame
}
"""The first bytes of each format, by its name in fsspec."""

_FORMAT_OF_SUFFIX = {".gz": "gzip", ".xz": "xz", ".bz2": "bz2", ".zst": "zstd"}

_TESTED_BYTES = 512
"""Bytes from which the format of a file is determined."""

_ZSTD_CHUNK = 256
"""Compressed bytes to decompress at once. The number is small because each byte may expand to 32 KiB."""


def open_bytes(path: Path) -> io.BufferedReader:
    """Opens a file for reading. The content of a compressed file is decompressed.

    Raises:
        OSError: the file cannot be opened. Reading may raise it too.
        CorpusError: the file is a damaged archive. Reading raises it too, at the place of the damage.
    """
    return decompressed(path.open("rb"), path)


def decompressed(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    """Returns the content of an open file: decompressed if it is compressed, else the file itself.

    Closing the result closes the file.

    Args:
        file: the file, at its first byte.
        path: path of the file, for error messages.

    Raises:
        CorpusError: the file is named like an archive, but its content is neither an archive nor text.
    """
    head = file.peek(_TESTED_BYTES)[:_TESTED_BYTES]
    for name, magic_number in _MAGIC_NUMBERS.items():
        if magic_number.match(head):
            return io.BufferedReader(_Archive(file, path, name))
    if path.suffix in _FORMAT_OF_SUFFIX and not _is_text(head):
        file.close()
        raise _damaged(path, _FORMAT_OF_SUFFIX[path.suffix], "its first bytes are wrong")
    return file


class _Archive(io.RawIOBase):
    """The content of a compressed file. Damage raises CorpusError, whatever the library raises."""

    def __init__(self, file: io.BufferedReader, path: Path, name: str) -> None:
        super().__init__()
        self._file, self._path, self._name = file, path, name
        self._content = _decompressor(name)(file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        try:
            return self._content.readinto(buffer) or 0
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno:  # an error of the disk, not of the archive
                raise
            raise _damaged(self._path, self._name, str(error)) from error

    def close(self) -> None:
        if not self.closed:
            self._content.close()
            self._file.close()
        super().close()


class _ZstdContent(io.RawIOBase):
    """The content of all frames of a zstandard file.

    fsspec's reader ends after the first frame, and takes a truncated frame for a complete one.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        import zstandard  # noqa: PLC0415 - only files of this format need it

        super().__init__()
        self._error = zstandard.ZstdError
        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new_frame()
        self._file = file
        self._in_frame = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        while not self._ready:
            compressed = self._frame.unused_data if self._frame.eof else b""
            compressed = compressed or self._file.read(_ZSTD_CHUNK)
            if not compressed:
                if self._in_frame:
                    raise EOFError("it ends within a frame")
                return 0
            if self._frame.eof:
                self._frame = self._new_frame()
            try:
                self._ready = memoryview(self._frame.decompress(compressed))
            except self._error as error:
                raise ValueError(str(error)) from error
            self._in_frame = not self._frame.eof
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._ready))
        target[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def _decompressor(name: str) -> Callable[[io.BufferedReader], io.BufferedIOBase | io.RawIOBase]:
    if name == "zstd":
        return _ZstdContent
    from fsspec.compression import compr  # noqa: PLC0415 - plain files do not need it

    formats = cast("dict[str, Callable[..., io.BufferedIOBase]]", compr)

    def opened(file: io.BufferedReader) -> io.BufferedIOBase:
        return formats[name](file, mode="rb")

    return opened


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
