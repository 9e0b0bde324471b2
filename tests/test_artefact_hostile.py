"""Damaged and hostile model files: each is refused, or loads as the unchanged model."""

import lzma
import os
import random
import resource
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tests.artefacts import config, forge, rewrite, small

from onward import artefact as module
from onward.artefact import load, save
from onward.errors import ArtefactError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.onward"
    save(small(), path)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"not a model at all, but a longer text",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x04cposix\nsystem\n" + bytes(40),
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 1 << 25) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"[[[[",
        struct.pack("<Q", 8) + b"\xff" * 8,
    ],
)
def test_files_of_other_formats_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ArtefactError) as caught:
        load(tmp_path / "m")
    assert caught.value.hint


def test_folders_devices_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/null")):
        with pytest.raises(ArtefactError):
            load(path)


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (load, module.is_detector):
        with pytest.raises(ArtefactError, match="expected a model file, got a named pipe") as refused:
            read(tmp_path / "pipe")
        assert refused.value.hint
    assert not module.is_model(tmp_path / "pipe")


def test_safetensors_files_of_other_programs_are_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "m", {"format": "pt"})
    with pytest.raises(ArtefactError, match="not an onward model"):
        load(tmp_path / "m")
    for metadata in ("", "[" * 100_000, "7", "null", '{"format": 1' + "0" * 5000 + "}"):
        save_file({"w": torch.zeros(3)}, tmp_path / "m", {"onward": metadata})
        with pytest.raises(ArtefactError):
            load(tmp_path / "m")


def packed(content: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(bytearray(lzma.compress(content)), np.uint8))


@pytest.mark.parametrize(
    ("symbols", "tensor", "message"),
    [
        (8, packed(bytes(8)).float(), "as bytes"),
        (8, packed(bytes(8))[None], "as bytes"),
        (8, None, "missing"),
        (None, packed(bytes(8)), "unexpected"),
        (8, packed(bytes(8))[:-9], "damaged"),
        (8, torch.zeros(0, dtype=torch.uint8), "damaged"),
        (8, torch.arange(90, dtype=torch.uint8), "damaged"),
        (8, torch.cat([packed(bytes(8)), packed(b"1")]), "damaged"),
        (7, packed(bytes(8)), "damaged"),
        (9, packed(bytes(8)), "damaged"),
        (0, packed(b""), "damaged"),
        (-1, packed(bytes(8)), "damaged"),
        (True, packed(bytes(1)), "damaged"),
        (8.0, packed(bytes(8)), "damaged"),
        (8, packed(b"\xff" * 8), "damaged"),
        (1 << 40, packed(bytes(8)), "damaged"),
        (8, packed(bytes(1 << 28)), "damaged"),
    ],
)
def test_a_hostile_remembered_text_is_refused(
    file: Path, symbols: object, tensor: torch.Tensor | None, message: str
) -> None:
    weights = load_file(file) | ({"remembered": tensor} if tensor is not None else {})
    remembered = {"remembered": {"symbols": symbols}} if symbols is not None else {}
    forge(file, lambda header: header.update(remembered), weights)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactError, match=message) as refused:
        load(file)
    assert refused.value.hint
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_truncating_a_file_does_not_change_the_loaded_model(file: Path) -> None:
    loaded = load(file)
    os.truncate(file, 0)
    assert torch.isfinite(loaded.model.readout.weight).all()


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "m"
    path.write_bytes(content)
    with pytest.raises(ArtefactError):
        load(path)


def mutated(content: bytes, source: random.Random) -> bytes:
    """Returns the content of a file with changes in one to eight places."""
    changed = bytearray(content)
    (length,) = struct.unpack("<Q", content[:8])
    for _ in range(source.choice((1, 1, 1, 2, 8))):
        at = source.randrange(source.choice((8, 8 + length, len(content))))
        at = min(at, len(changed))
        match source.randrange(8):
            case 0:
                del changed[at:]
            case 1 if at < len(changed):
                changed[at] ^= 1 << source.randrange(8)
            case 2:
                changed[at : at + 4] = source.randbytes(4)
            case 3:
                changed[at:at] = source.randbytes(source.randrange(1, 20))
            case 4:
                del changed[at : at + source.randrange(1, 50)]
            case 5:
                changed[at:at] = changed[at : at + source.randrange(1, 200)]
            case 6:
                changed[:8] = struct.pack(
                    "<Q", source.choice((0, 1, length + 1, length - 1, 2**31, 2**63, 2**64 - 1))
                )
            case _:
                changed = with_other_number(changed, source)
    return bytes(changed)


def with_other_number(content: bytearray, source: random.Random) -> bytearray:
    """Returns the file with another number somewhere in its header, and the right header length."""
    (length,) = struct.unpack("<Q", bytes(content[:8]).ljust(8, b"\0"))
    header = bytes(content[8 : 8 + min(length, len(content))])
    places = [
        i for i in range(len(header)) if header[i : i + 1].isdigit() and not header[i - 1 : i].isdigit()
    ]
    if not places:
        return content
    at = source.choice(places)
    end = at
    while header[end : end + 1].isdigit():
        end += 1
    number = source.choice(
        (b"0", b"1", b"7", b"4096", b"65536", b"1e9", b"2147483647", b"99999999999999999999", b"-1")
    )
    other = header[:at] + number + header[end:]
    return bytearray(struct.pack("<Q", len(other)) + other + bytes(content[8 + len(header) :]))


FUZZ = """
import random, resource, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.test_artefact_hostile import fuzz
fuzz(Path({path!r}), {count})
"""


def fuzz(path: Path, count: int) -> None:
    """Loads mutations of a file: each is refused or loads as the same model, and memory does not grow."""
    content, source = path.read_bytes(), random.Random(0)
    target = path.with_suffix(".mutated")
    wanted = load(path)
    resource.setrlimit(resource.RLIMIT_AS, (resource_now() + (1 << 30), resource.RLIM_INFINITY))
    peak = 0
    for number in range(count):
        target.write_bytes(mutated(content, source))
        try:
            loaded = load(target)
        except ArtefactError as error:
            if len(str(error)) > 2000:
                raise SystemExit(f"a message of {len(str(error))} characters") from error
        else:  # the change was in white space or in a name of the format
            weights = [module.digest_of(module.weights_of(a.model)) for a in (loaded, wanted)]
            assert weights[0] == weights[1]
            facts = [(a.model.config, a.vocabulary, a.recipe, a.facts) for a in (loaded, wanted)]
            assert facts[0] == facts[1]
            np.testing.assert_array_equal(loaded.remembered, wanted.remembered)
        if number == 20:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 50_000, f"memory grew by {grown} kB"


def resource_now() -> int:
    """Returns the bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
@pytest.mark.parametrize("count", [75, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("remembered", [None, np.arange(5).repeat(20)], ids=["plain", "remembering"])
def test_mutated_files_are_refused_or_load_unchanged(
    file: Path, count: int, remembered: np.ndarray | None
) -> None:
    save(replace(small(), remembered=remembered), file)
    program = FUZZ.format(root=str(Path(__file__).parents[1]), path=str(file), count=count)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by the address space")
def test_a_config_of_terabytes_takes_no_memory(file: Path) -> None:
    rewrite(file, config(width=65_536, inner=64.0, symbols=2**31))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArtefactError):
        load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
