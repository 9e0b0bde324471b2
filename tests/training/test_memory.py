"""What does not fit into memory is refused in one line, whether it is foreseen or not."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from onward.data.encoded import EncodedCorpus
from onward.errors import RecipeError
from onward.training.budget import Budget
from onward.training.memory import memory_is_needed, refuse_beyond_memory
from onward.training.recipe import Recipe
from onward.training.train import train_model

Small = Callable[..., Recipe]
CPU = torch.device("cpu")


def _device_refuses() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_model_beyond_this_machine_is_refused_before_it_is_built(
    corpus: EncodedCorpus, small: Small
) -> None:
    with pytest.raises(RecipeError, match=r"\d{3},\d{3} parameters .* [\d.,]+ GiB .* has [\d.,]+") as caught:
        train_model(corpus, small(width=65_536), Budget(steps=1))
    assert "width" in caught.value.hint


def test_a_model_that_fits_is_not(small: Small) -> None:
    refuse_beyond_memory(small(), 20, CPU)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: torch.empty(1 << 60, dtype=torch.uint8),
        lambda: np.empty(1 << 60, dtype=np.uint8),
        _device_refuses,
    ],
    ids=["torch", "numpy", "device"],
)
def test_what_the_system_does_not_give_is_told_in_the_same_words(
    small: Small, ask: Callable[[], object]
) -> None:
    with pytest.raises(RecipeError, match=r"parameters .* GiB") as caught, memory_is_needed(small(), 20, CPU):
        ask()
    assert "lanes" in caught.value.hint


def test_other_errors_keep_their_own_words(small: Small) -> None:
    with pytest.raises(RuntimeError, match="a bug"), memory_is_needed(small(), 20, CPU):
        raise RuntimeError("a bug of ours")
