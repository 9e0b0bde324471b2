"""The compiled libraries are hardened: a mistake in them ends the process, and does not run foreign code."""

import struct
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from onward.layers.kernels import compiled

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads a file in Linux's format"),
    pytest.mark.skipif(not compiled.available, reason="the kernels were not compiled"),
]

DYNAMIC, STACK, RELRO = 2, 0x6474E551, 0x6474E552
EXECUTABLE = 1
FLAGS, FLAGS_1 = 30, 0x6FFFFFFB
BIND_NOW, NOW_1 = 8, 1
"""Numbers of the ELF format: types of segments, a permission, dynamic tags, and their flags."""


@pytest.fixture(
    scope="module", params=["onward.layers.kernels._kernels", "onward.inference.novelty._automaton"]
)
def library(request: pytest.FixtureRequest) -> bytes:
    found = find_spec(request.param)
    assert found and found.origin
    content = Path(found.origin).read_bytes()
    assert content[:6] == b"\x7fELF\x02\x01"  # 64 bits, little endian
    return content


def segments(library: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yields the type, the permissions, the offset and the size of each segment."""
    (start,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    for number in range(count):
        kind, flags, offset, _, _, length = struct.unpack_from("<IIQQQQ", library, start + number * size)
        yield kind, flags, offset, length


def test_the_stack_is_not_executable(library: bytes) -> None:
    (flags,) = (flags for kind, flags, _, _ in segments(library) if kind == STACK)
    assert not flags & EXECUTABLE


def test_addresses_of_functions_are_read_only_once_they_are_known(library: bytes) -> None:
    assert any(kind == RELRO for kind, *_ in segments(library))
    ((offset, length),) = (
        (offset, length) for kind, _, offset, length in segments(library) if kind == DYNAMIC
    )
    tags = dict(struct.iter_unpack("<QQ", library[offset : offset + length]))
    assert tags.get(FLAGS, 0) & BIND_NOW
    assert tags.get(FLAGS_1, 0) & NOW_1


@pytest.mark.parametrize("library", ["onward.layers.kernels._kernels"], indirect=True)
def test_a_changed_stack_is_noticed(library: bytes) -> None:
    """Only the kernels have arrays on the stack."""
    assert b"\0__stack_chk_fail\0" in library
