import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import Small
from tests.training.runs import train, train_until

from onward import artefact as artefacts
from onward.artefact import Artefact
from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.errors import BusyError, Interrupted, WriteError
from onward.outputs import checkpoint_path, output_lock
from onward.training import train as train_module
from onward.training.events import Event, Finished, Sampled, Started, Validated
from onward.training.held_out import held_out_loss
from onward.training.plan import Budget
from onward.training.split import split_corpus


def test_a_run_writes_model_log_and_curves(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output, events = tmp_path / "m.onward", list[Event]()
    recipe = small(precision="auto")
    result = train(corpus, recipe, Budget(epochs=1.5), output=output, observer=events.append)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.curves.png", "m.log.jsonl", "m.onward"]
    loaded = artefacts.load(output)
    held_out = split_corpus(corpus, recipe).held_out
    blocks = math.ceil((len(corpus.ids) - len(held_out)) // 4 / 16)
    assert result.steps == loaded.facts["steps"] == round(1.5 * blocks)
    assert loaded.recipe == recipe.to_json() | {"precision": loaded.facts["precision"]}
    assert loaded.recipe["precision"] in ("bf16", "fp32")
    named = {"name": "words", "sha256": corpus.digest, "symbols": len(corpus.ids), "ends": 0, "newlines": 0}
    assert loaded.facts["corpus"] == named
    assert result.validation_nats_per_symbol == held_out_loss(loaded.model, held_out)
    assert loaded.facts["validation"] == {
        "symbols": len(held_out),
        "pieces": held_out.pieces,
        "burn_in": held_out.burn_in,
        "nats_per_symbol": result.validation_nats_per_symbol,
        "temperature": 1.0,  # the held-out text is too short
    }
    assert not result.artefact.model.training
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    log = [json.loads(line) for line in (tmp_path / "m.log.jsonl").read_text().splitlines()]
    assert (log[0]["event"], log[-1]["event"]) == ("started", "finished")


def test_a_model_remembers_the_training_text_if_asked(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, training = tmp_path / "m.onward", split_corpus(corpus, small()).training
    assert train(corpus, small(), Budget(steps=2), output).artefact.remembered is None
    train(corpus, small(remember=True), Budget(steps=2), output)
    np.testing.assert_array_equal(artefacts.load(output).remembered, training)
    monkeypatch.setattr(train_module, "MOST_REMEMBERED", 100)
    result = train(corpus, small(remember=True), Budget(steps=2))
    np.testing.assert_array_equal(result.artefact.remembered, training[-100:])


def test_without_an_output_nothing_is_written(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = torch.get_rng_state()
    result = train(corpus, small(), Budget(steps=4))
    assert result.output is None
    assert list(tmp_path.iterdir()) == []
    assert torch.get_rng_state().equal(before)


def test_a_second_run_to_an_output_is_refused(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    with output_lock(output), pytest.raises(BusyError):
        train(corpus, small(), Budget(steps=1), output=output)
    train(corpus, small(), Budget(steps=1), output=output)


def test_samples_do_not_change_the_model(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    recipe, events, modes = small(dropout=0.2), list[Event](), list[bool]()

    def sampler(artefact: Artefact) -> str:
        modes.append(artefact.model.training)
        return str(torch.rand(1))

    without, sampled = tmp_path / "a.onward", tmp_path / "b.onward"
    train(corpus, recipe, Budget(steps=20), output=without)
    train(corpus, recipe, Budget(steps=20), output=sampled, sampler=sampler, observer=events.append)
    assert sampled.read_bytes() == without.read_bytes()
    assert any(isinstance(event, Sampled) for event in events)
    assert modes
    assert not any(modes)


def test_the_best_weights_are_saved(corpus: EncodedCorpus, small: Small) -> None:
    """The learning rate is too high and never falls, so the last check is not the best."""
    recipe, events = small(decay="none", optimiser="adamw", rate=0.6), list[Event]()
    best = train(corpus, recipe, Budget(steps=200), observer=events.append).artefact
    checks = [event for event in events if isinstance(event, Validated)]
    lowest = min(checks, key=lambda check: check.nats_per_symbol)
    assert lowest is not checks[-1]
    assert best.facts["best_step"] == lowest.step
    held_out = split_corpus(corpus, recipe).held_out
    assert held_out_loss(best.model, held_out) == pytest.approx(lowest.nats_per_symbol, rel=1e-6)


@pytest.mark.parametrize("text", ["a", "ab", "this text is too short to hold some out"])
def test_the_shortest_texts_train(text: str, small: Small, tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    result = train(encode_text(text, Encoding()), small(), Budget(steps=3), output=output)
    assert result.validation_nats_per_symbol is None
    assert artefacts.load(output).facts["validation"] == {
        "symbols": 0,
        "pieces": 0,
        "burn_in": 0,
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


def test_a_full_disk_leaves_no_partial_files(corpus: EncodedCorpus, small: Small, small_disk: Path) -> None:
    output, recipe = small_disk / "m.onward", small(width=24)
    train_until(corpus, small(), Budget(steps=20), output, 3)
    checkpoint = checkpoint_path(output).read_bytes()
    filler = small_disk / "filler"
    filler.write_bytes(bytes(150_000))
    with pytest.raises(WriteError, match="No space left on device"):
        train(corpus, recipe, Budget(steps=20), output=output)
    assert checkpoint_path(output).read_bytes() == checkpoint
    assert not output.exists()
    assert not list(small_disk.glob(".*"))


CHILD = """
import sys
from pathlib import Path
from onward.data.encoded import Encoding, encode_text
from onward.errors import Interrupted
from onward.training.held_out import held_out_loss
from onward.training.plan import Budget
from onward.training.recipe import find_recipe
from onward.training.events import Stepped
from onward.training.resume import start_run
from onward.training.train import train_model

def observe(event):
    if isinstance(event, Stepped) and event.step == 3:
        print("running", flush=True)

try:
    corpus = encode_text("so it goes on and on. " * 300, Encoding())
    recipe = find_recipe("tiny", {"width": 8, "precision": "fp32"})
    with start_run(Path(sys.argv[1]), resume=False) as start:
        train_model(corpus, recipe, Budget(steps=10**7), start, observer=observe)
except Interrupted as error:
    print(error, error.hint)
    sys.exit(130)
"""


@pytest.mark.slow
def test_ctrl_c_saves_the_run(tmp_path: Path) -> None:
    output = tmp_path / "m.onward"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(output)], stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    output_text, _ = child.communicate(timeout=600)
    assert child.returncode == 130
    assert output_text.startswith("stopped at step ")
    assert f"--resume (the run is saved in {checkpoint_path(output)})" in output_text
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.log.jsonl", "m.onward.checkpoint"]


def test_ctrl_c_after_the_last_step_keeps_the_checkpoint(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    output = tmp_path / "m.onward"
    with monkeypatch.context() as patch:
        patch.setattr("onward.training.train.held_out_loss", interrupted)
        with pytest.raises(Interrupted) as error:
            train(corpus, small(), Budget(steps=4), output=output)
    assert "--resume" in error.value.hint
    assert train(corpus, small(), Budget(steps=4), output=output, resume=True).steps == 4


@pytest.mark.slow
def test_the_schedule_of_a_timed_run_repeats_it(corpus: EncodedCorpus, small: Small, tmp_path: Path) -> None:
    recipe, timed, counted = small(dropout=0.2), tmp_path / "timed.onward", tmp_path / "counted.onward"
    budget = Budget(minutes=0.055, started=time.monotonic())
    schedule = train(corpus, recipe, budget, output=timed).artefact.facts["schedule"]
    assert ":" in schedule
    train(corpus, recipe, Budget(steps=schedule), output=counted)
    assert counted.read_bytes() == timed.read_bytes()
