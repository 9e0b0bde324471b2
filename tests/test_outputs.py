import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.artefacts import rewrite, small

from onward.artefact import save
from onward.errors import BusyError, InputError, WriteError
from onward.outputs import checkpoint_path, curves_path, log_path, output_lock, refuse_to_replace


@pytest.mark.parametrize(("name", "stem"), [("a.onward", "a"), ("a.v2", "a.v2"), ("a", "a")])
def test_files_are_named_after_the_model(name: str, stem: str) -> None:
    output = Path("folder") / name
    assert checkpoint_path(output) == Path("folder") / f"{name}.checkpoint"
    assert log_path(output) == Path("folder") / f"{stem}.log.jsonl"
    assert curves_path(output) == Path("folder") / f"{stem}.curves.png"


def test_only_models_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "m.onward"
    save(small(), file)
    refuse_to_replace(file, [])
    refuse_to_replace(tmp_path / "missing", [])
    rewrite(file, lambda header: header.update(format=2))  # a later version
    refuse_to_replace(file, [])
    with pytest.raises(InputError, match="is a source"):
        refuse_to_replace(file, [file])
    zeros, text, foreign = (tmp_path / name for name in ("zeros", "text", "foreign"))
    zeros.write_bytes(bytes(1000))
    text.write_text("some text that took long to write")
    save_file({"w": torch.zeros(3)}, foreign, {"format": "pt"})
    for path in (zeros, text, foreign):
        with pytest.raises(InputError, match="is not an onward model"):
            refuse_to_replace(path, [])


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    with output_lock(output):
        with pytest.raises(BusyError, match=r"another run is writing .*m\.onward"), output_lock(output):
            pass
        with output_lock(tmp_path / "other.onward"):
            pass
    with output_lock(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    code = (
        "import os, sys; from pathlib import Path; from onward.outputs import output_lock\n"
        "with output_lock(Path(sys.argv[1])): print('held', flush=True); os.read(0, 1)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout and child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), output_lock(output):
            pass
        child.kill()
    assert (tmp_path / "m.onward.lock").exists()
    with output_lock(output):
        pass


def test_only_temporary_files_of_killed_runs_are_removed(tmp_path: Path) -> None:
    written = ["m.onward", "m.onward.checkpoint", "m.curves.png"]
    left = [tmp_path / f".{name}.abcdefgh.tmp" for name in written]
    kept = [tmp_path / ".m.onward2.abcdefgh.tmp", tmp_path / "m.onward.tmp", tmp_path / "[m].onward"]
    for file in left + kept:
        file.write_bytes(b"half")
    with output_lock(tmp_path / "m.onward"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_two_names_of_one_folder_are_one_output_and_a_link_to_a_model_is_another(tmp_path: Path) -> None:
    """A link is replaced by the new model, and the model that it leads to stays."""
    output, folder = tmp_path / "models" / "m.onward", tmp_path / "folder"
    output.parent.mkdir()
    folder.symlink_to("models")
    (output.parent / "l.onward").symlink_to("m.onward")
    left = output.with_name(".m.onward.abcdefgh.tmp")
    left.write_bytes(b"half")
    with output_lock(folder / "m.onward"):
        assert not left.exists()
        with pytest.raises(BusyError), output_lock(output):
            pass
        with output_lock(folder / "l.onward"):
            pass
    assert [path.name for path in output.parent.iterdir()] == ["l.onward"]


def test_a_lock_does_not_follow_a_link(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "m.onward.lock").symlink_to("secret")
    with pytest.raises(WriteError), output_lock(tmp_path / "m.onward"):
        pass
    assert secret.read_bytes() == b"secret"


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"), output_lock(tmp_path / "none" / "m.onward"):
        pass
    with pytest.raises(InputError, match="got the folder") as caught, output_lock(tmp_path):
        pass
    assert str(tmp_path / "model.onward") in caught.value.hint


def test_the_folder_of_a_workspace_is_created(tmp_path: Path) -> None:
    with output_lock(tmp_path / ".onward" / "model.onward"):
        assert (tmp_path / ".onward").is_dir()
    with pytest.raises(WriteError), output_lock(tmp_path / "models" / "model.onward"):
        pass
    with pytest.raises(WriteError), output_lock(tmp_path / "missing" / ".onward" / "model.onward"):
        pass
