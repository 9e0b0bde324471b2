import random
from pathlib import Path

import pytest
import torch
from tests.training.conftest import Limit

from onward.errors import ArtefactError, WriteError
from onward.outputs import checkpoint_path
from onward.training.checkpoint import (
    Checkpoint,
    check_tensors,
    group_of,
    grouped,
    load_checkpoint,
    save_checkpoint,
    take,
)

SOME = Checkpoint(
    {"run/a": torch.arange(6.0).view(2, 3), "random": torch.arange(9, dtype=torch.uint8)},
    {"step": 3, "steps": None, "name": "ä"},
)


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path / "m.onward")
    assert path.name == "m.onward.checkpoint"
    save_checkpoint(SOME, path)
    loaded = load_checkpoint(path)
    assert loaded.facts == SOME.facts
    assert all(loaded.tensors[name].equal(value) for name, value in SOME.tensors.items())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, small_files: Limit) -> None:
    path = tmp_path / "c"
    save_checkpoint(SOME, path)
    before = path.read_bytes()
    with small_files(len(before) - 1), pytest.raises(WriteError, match=r"cannot write .*c"):
        save_checkpoint(SOME, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_refused_or_loads_the_saved_values(tmp_path: Path) -> None:
    """Bits are flipped, and bytes cut or doubled, at random."""
    path, chance = tmp_path / "c", random.Random(3)
    save_checkpoint(SOME, path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(400):
        content, at = bytearray(whole), chance.randrange(len(whole))
        match chance.randrange(3):
            case 0:
                content[at] ^= 1 << chance.randrange(8)
            case 1:
                del content[at:]
            case _:
                content[at:at] = content[at : at + chance.randrange(1, 30)]
        path.write_bytes(content)
        try:
            loaded = load_checkpoint(path)
        except ArtefactError as error:
            assert str(path) in str(error)
            assert "start again" in error.hint
            refused += 1
        else:
            assert loaded.facts == SOME.facts
            assert all(loaded.tensors[name].equal(value) for name, value in SOME.tensors.items())
    assert refused > 300


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{}", b"text that is no checkpoint at all"]
)
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="checkpoint"):
        load_checkpoint(path)


def test_tensors_are_grouped_by_the_start_of_their_names() -> None:
    tensors = grouped("run", grouped("weights", {"a": torch.zeros(1)})) | grouped(
        "best", {"a": torch.ones(1)}
    )
    assert list(tensors) == ["run/weights/a", "best/a"]
    assert list(group_of("run", tensors)) == ["weights/a"]
    assert group_of("weights", tensors) == {}


def test_a_fact_of_another_type_is_refused() -> None:
    assert take({"a": 1}, "a", int) == 1
    for facts in ({}, {"a": "1"}, {"a": True}, {"a": None}):
        with pytest.raises(ArtefactError, match="expected a of type int") as caught:
            take(facts, "a", int)
        assert "start again" in caught.value.hint


def test_the_first_tensor_that_differs_is_named() -> None:
    check_tensors({"a": torch.zeros(2)}, {"a": torch.ones(2)})
    with pytest.raises(ArtefactError, match=r"tensor a .* to be \(2,\) in torch.float32, got \(3,\)"):
        check_tensors({"a": torch.zeros(3)}, {"a": torch.zeros(2)})
    with pytest.raises(ArtefactError, match=r"tensor b .* to be absent"):
        check_tensors({"b": torch.zeros(3)}, {})
