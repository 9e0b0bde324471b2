import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.training.killing import stop

from onward import artefact as artefacts
from onward.artefact import Artefact
from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.errors import BusyError, Interrupted, WriteError
from onward.outputs import checkpoint_path, output_lock
from onward.training.events import Event, Finished, Sampled, Started, Validated
from onward.training.plan import Budget
from onward.training.recipe import Recipe
from onward.training.train import train_model
from onward.training.validation import check, checked_symbols, report

Small = Callable[..., Recipe]


def test_what_a_run_leaves(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output, events = tmp_path / "m.onward", list[Event]()
    recipe = small(precision="auto")
    result = train_model(corpus, recipe, Budget(epochs=1.5), output=output, observer=events.append)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.curves.png", "m.log.jsonl", "m.onward"]
    loaded = artefacts.load(output)
    tail = corpus.ids[-int(0.1 * len(corpus.ids)) :]
    blocks = math.ceil((len(corpus.ids) - len(tail)) // 4 / 16)
    assert result.steps == loaded.facts["steps"] == round(1.5 * blocks)
    assert loaded.recipe == recipe.to_json() | {"precision": loaded.facts["precision"]}
    assert loaded.recipe["precision"] in ("bf16", "fp32")
    told = {"name": "words", "sha256": corpus.digest, "symbols": len(corpus.ids), "ends": 0}
    assert loaded.facts["corpus"] == told
    assert result.validation_nats_per_symbol == report(loaded.model, tail)
    assert loaded.facts["validation"] == {
        "symbols": len(tail),
        "nats_per_symbol": result.validation_nats_per_symbol,
        "temperature": 1.0,  # of so little text none is told
    }
    assert not result.artefact.model.training
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    log = [json.loads(line) for line in (tmp_path / "m.log.jsonl").read_text().splitlines()]
    assert (log[0]["event"], log[-1]["event"]) == ("started", "finished")


def test_without_an_output_nothing_is_written(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_rng_state()
    result = train_model(corpus, small(), Budget(steps=4))
    assert result.output is None
    assert list(tmp_path.iterdir()) == []
    assert torch.get_rng_state().equal(before)


def test_two_runs_to_one_output(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    with output_lock(output), pytest.raises(BusyError):
        train_model(corpus, small(), Budget(steps=1), output=output)
    train_model(corpus, small(), Budget(steps=1), output=output)


def test_samples_do_not_change_what_is_learned(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    recipe, events, modes = small(dropout=0.2), list[Event](), list[bool]()

    def sampler(artefact: Artefact) -> str:
        modes.append(artefact.model.training)
        return str(torch.rand(1))

    without, sampled = tmp_path / "a.onward", tmp_path / "b.onward"
    train_model(corpus, recipe, Budget(steps=20), output=without)
    train_model(corpus, recipe, Budget(steps=20), output=sampled, sampler=sampler, observer=events.append)
    assert sampled.read_bytes() == without.read_bytes()
    assert any(isinstance(event, Sampled) for event in events)
    assert modes
    assert not any(modes)


def test_the_best_weights_are_saved_not_the_last(corpus: EncodedCorpus, small: Small) -> None:
    """A rate that never falls, and far too high: the last check is not the lowest."""
    recipe, events = small(decay="none", optimiser="adamw", rate=0.4), list[Event]()
    best = train_model(corpus, recipe, Budget(steps=200), observer=events.append).artefact
    checks = [event for event in events if isinstance(event, Validated)]
    lowest = min(checks, key=lambda check: check.nats_per_symbol)
    assert lowest is not checks[-1]
    assert best.facts["best_step"] == lowest.step
    tail = corpus.ids[-int(0.1 * len(corpus.ids)) :]
    size = checked_symbols(len(tail), 200 * 4 * 16)
    assert check(best.model, tail, size) == pytest.approx(lowest.nats_per_symbol, rel=1e-6)


@pytest.mark.parametrize("text", ["a", "ab", "no tail is held out of so short a text"])
def test_the_shortest_texts_train(text: str, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    result = train_model(encode_text(text, Encoding()), small(), Budget(steps=3), output=output)
    assert result.validation_nats_per_symbol is None
    assert artefacts.load(output).facts["validation"] == {
        "symbols": 0,
        "nats_per_symbol": None,
        "temperature": 1.0,
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here (that takes root): {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up(corpus: EncodedCorpus, small: Small, small_disk: Path) -> None:
    output, recipe = small_disk / "m.onward", small(width=24)
    stop(corpus, small(), Budget(steps=20), output, 3)
    checkpoint = checkpoint_path(output).read_bytes()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(150_000))
    with pytest.raises(WriteError, match="No space left on device"):
        train_model(corpus, recipe, Budget(steps=20), output=output)
    assert checkpoint_path(output).read_bytes() == checkpoint
    assert not output.exists()
    assert not list(small_disk.glob(".*"))


CHILD = """
import sys
from pathlib import Path
from onward.data.encoded import Encoding, encode_text
from onward.errors import Interrupted
from onward.training.plan import Budget
from onward.training.recipe import find_recipe
from onward.training.events import Stepped
from onward.training.train import train_model

def tell(event):
    if isinstance(event, Stepped) and event.step == 3:
        print("running", flush=True)

try:
    corpus = encode_text("so it goes on and on. " * 300, Encoding())
    recipe = find_recipe("tiny", {"width": 8, "precision": "fp32"})
    train_model(corpus, recipe, Budget(steps=10**7), output=Path(sys.argv[1]), observer=tell)
except Interrupted as error:
    print(error, error.hint)
    sys.exit(130)
"""


def test_ctrl_c_in_a_process_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(output)], stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=600)
    assert child.returncode == 130
    assert said.startswith("stopped at step ")
    assert f"--resume ({checkpoint_path(output)} holds the run)" in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.log.jsonl", "m.onward.checkpoint"]


def test_ctrl_c_behind_the_last_step(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    output = tmp_path / "m.onward"
    with monkeypatch.context() as patch:
        patch.setattr("onward.training.train.report", interrupted)
        with pytest.raises(Interrupted) as error:
            train_model(corpus, small(), Budget(steps=4), output=output)
    assert "--resume" in error.value.hint
    assert train_model(corpus, small(), Budget(steps=4), output=output, resume=True).steps == 4


def test_minutes_end_as_their_steps_do(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    recipe, timed, counted = small(dropout=0.2), tmp_path / "timed.onward", tmp_path / "counted.onward"
    budget = Budget(minutes=0.055, started=time.monotonic())
    steps = train_model(corpus, recipe, budget, output=timed).steps
    train_model(corpus, recipe, Budget(steps=steps), output=counted)
    assert counted.read_bytes() == timed.read_bytes()
