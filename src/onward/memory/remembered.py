"""The end of a training text in a model file, compressed. A memory counts it at the start of each text."""

import lzma

import numpy as np

MOST_REMEMBERED = 1 << 20
"""Maximum number of symbols; counting them takes about a second."""

_DECODER_BYTES = 1 << 26  # more than preset 6 needs


def pack(ids: np.ndarray, symbols: int) -> np.ndarray:
    """Returns the ids (N,) of V symbols, compressed, (M,) in uint8."""
    content = lzma.compress(ids.astype(_type_of(symbols)).tobytes(), preset=6)
    return np.frombuffer(bytearray(content), np.uint8)


def unpack(packed: np.ndarray, count: int, symbols: int) -> np.ndarray:
    """Returns the ids that `pack` compressed, (N,) in int64.

    Args:
        packed: the compressed ids, (M,) in uint8.
        count: N.
        symbols: V.

    Raises:
        ValueError: the data is damaged, or does not hold N ids of V symbols.
    """
    if not 0 < count <= MOST_REMEMBERED:
        raise ValueError(f"expected 1 to {MOST_REMEMBERED} symbols, found {count}")
    kind = _type_of(symbols)
    size = count * kind.itemsize
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_DECODER_BYTES)
    try:
        content = decoder.decompress(packed.tobytes(), max_length=size + 1)
    except lzma.LZMAError as error:
        raise ValueError(f"it cannot be decompressed: {error}") from error
    if len(content) != size or not decoder.eof or decoder.unused_data:
        raise ValueError(f"expected {count} symbols, found another number")
    ids = np.frombuffer(content, kind).astype(np.int64)
    if int(ids.max()) >= symbols:
        raise ValueError(f"expected ids below {symbols}, found {int(ids.max())}")
    return ids


def _type_of(symbols: int) -> np.dtype:
    """Returns the smallest type for the ids of V symbols, in little-endian order."""
    return np.dtype("u1" if symbols <= 1 << 8 else "<u2" if symbols <= 1 << 16 else "<u4")
