import subprocess
import sys
from pathlib import Path

import pytest

from onward.errors import BusyError, InputError, WriteError
from onward.training.lock import output_lock


def test_a_second_run_is_told(tmp_path: Path) -> None:
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
        "import os, sys; from pathlib import Path; from onward.training.lock import output_lock\n"
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


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    written = ["m.onward", "m.onward.checkpoint", "m.curves.png"]
    left = [tmp_path / f".{name}.abcdefgh.tmp" for name in written]
    kept = [tmp_path / ".m.onward2.abcdefgh.tmp", tmp_path / "m.onward.tmp", tmp_path / "[m].onward"]
    for file in left + kept:
        file.write_bytes(b"half")
    with output_lock(tmp_path / "m.onward"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_link_and_what_it_leads_to_are_one_output(tmp_path: Path) -> None:
    output, link = tmp_path / "m.onward", tmp_path / "links" / "l.onward"
    link.parent.mkdir()
    link.symlink_to(output)
    left = tmp_path / ".m.onward.abcdefgh.tmp"
    left.write_bytes(b"half")
    with output_lock(link):
        assert not left.exists()
        with pytest.raises(BusyError), output_lock(output):
            pass
    assert list(tmp_path.iterdir()) == [link.parent]
    assert list(link.parent.iterdir()) == [link]


def test_no_folder_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No such file"), output_lock(tmp_path / "none" / "m.onward"):
        pass
    with pytest.raises(InputError, match="got the folder") as caught, output_lock(tmp_path):
        pass
    assert str(tmp_path / "model.onward") in caught.value.hint
