"""Training on a GPU gives the losses of a CPU to rounding, and is resumed."""

from pathlib import Path

import pytest
import torch
from tests.training.conftest import Small
from tests.training.runs import KilledError, kill_at, train

import onward
from onward.data.encoded import EncodedCorpus
from onward.errors import RecipeError
from onward.training import checkpointer
from onward.training.events import Stepped
from onward.training.plan import Budget

GPU = torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no GPU here")


@pytest.mark.parametrize("device", ["tpu", "", "cuda:7"])
def test_a_missing_device_is_refused(device: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some text " * 40)
    with pytest.raises(RecipeError, match="device must be auto"):
        onward.train(tmp_path / "text.txt", steps=1, recipe="tiny", device=device)


@needs_gpu
@pytest.mark.parametrize("name", ["default", "lstm", "gru", "simple"])
def test_a_gpu_gives_the_losses_of_a_cpu(name: str, corpus: EncodedCorpus, small: Small) -> None:
    losses: dict[str, list[float]] = {}
    for device in (torch.device("cpu"), GPU):
        seen = losses.setdefault(device.type, [])

        def listen(event: object, seen: list[float] = seen) -> None:
            if isinstance(event, Stepped):
                seen.append(event.nats_per_symbol)

        train(corpus, small(name), Budget(steps=20), device=device, observer=listen)
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-3)


@needs_gpu
def test_a_run_on_a_gpu_is_saved_and_resumed(
    corpus: EncodedCorpus, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.onward"
    recipe = small(dropout=0.2)
    whole = train(corpus, recipe, Budget(steps=30), device=GPU)

    monkeypatch.setattr(checkpointer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KilledError):
        train(corpus, recipe, Budget(steps=30), output=output, device=GPU, observer=kill_at(13))
    again = train(corpus, recipe, Budget(steps=30), output=output, device=GPU, resume=True)
    for name, weight in whole.artefact.model.state_dict().items():
        torch.testing.assert_close(again.artefact.model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)
