"""A run that needs too much memory or too large a file is refused with one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.conftest import Small
from tests.training.runs import train

from onward import artefact as artefacts
from onward.artefact import Artefact, save
from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.vocabulary import Vocabulary
from onward.errors import RecipeError, RunError, VocabularyError
from onward.model import LanguageModel, ModelConfig
from onward.training import preflight
from onward.training.plan import Budget
from onward.training.preflight import check_memory, check_vocabulary_size, explain_memory_errors

CPU = torch.device("cpu")
WORDS = Vocabulary("words", (f"{letter}{number}" for letter in "aéя" for number in range(500)))


def _gpu_is_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_model_that_needs_more_memory_than_the_machine_is_refused(
    corpus: EncodedCorpus, small: Small
) -> None:
    with pytest.raises(RecipeError, match=r"\d{3},\d{3} parameters .* [\d.,]+ GiB .* has [\d.,]+") as caught:
        train(corpus, small(width=65_536), Budget(steps=1))
    assert "width" in caught.value.hint


def test_a_small_model_is_accepted(small: Small) -> None:
    check_memory(small(), 20, CPU)


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8),
        lambda: np.empty(1 << 60, dtype=np.uint8),
        _gpu_is_full,
    ],
    ids=["torch", "numpy", "GPU"],
)
def test_a_failed_allocation_is_explained(small: Small, allocate: Callable[[], object]) -> None:
    with (
        pytest.raises(RecipeError, match=r"ran out of memory: .* parameters .* GiB") as caught,
        explain_memory_errors(small(), 20, CPU),
    ):
        allocate()
    assert "lanes" in caught.value.hint


def test_other_errors_pass_through(small: Small) -> None:
    with pytest.raises(RuntimeError, match="a bug"), explain_memory_errors(small(), 20, CPU):
        raise RuntimeError("a bug of ours")


def test_an_accepted_vocabulary_can_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(ModelConfig(symbols=len(WORDS), width=2, layers=1, tied=True))
    save(Artefact(model, WORDS), tmp_path / "m")
    size = int.from_bytes((tmp_path / "m").read_bytes()[:8], "little")
    monkeypatch.setattr(preflight, "OTHER_HEADER_BYTES", 1400)  # a little less than this header has
    for module in (artefacts, preflight):
        monkeypatch.setattr(module, "LONGEST_HEADER", size)
    check_vocabulary_size(WORDS)
    save(Artefact(model, WORDS), tmp_path / "m")
    monkeypatch.setattr(preflight, "LONGEST_HEADER", size - 200)
    with pytest.raises(VocabularyError, match="bytes for 1504 symbols") as caught:
        check_vocabulary_size(WORDS)
    assert "--min-count" in caught.value.hint


def test_a_vocabulary_that_cannot_be_saved_is_refused_before_training(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = encode_text("as many words as there are " * 40, Encoding("words"))
    monkeypatch.setattr(preflight, "LONGEST_HEADER", preflight.OTHER_HEADER_BYTES)
    with pytest.raises(VocabularyError, match="a model file holds"):
        train(corpus, small(symbols="words"), Budget(steps=1), tmp_path / "m.onward")
    assert list(tmp_path.iterdir()) == []
    assert train(corpus, small(symbols="words"), Budget(steps=1)).steps == 1  # without an output


@pytest.mark.parametrize(
    "message",
    [
        "Unable to handle autograd's threading in combination with fork-based multiprocessing.",
        "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must ...",
    ],
)
def test_a_refusal_to_train_after_a_fork_is_explained(
    message: str, corpus: EncodedCorpus, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch refuses only if the parent has used a GPU, so its refusal is simulated."""

    def refuse(*_: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    with pytest.raises(RunError, match="forked from one that used a GPU") as caught:
        train(corpus, small(), Budget(steps=1))
    assert "spawn" in caught.value.hint
