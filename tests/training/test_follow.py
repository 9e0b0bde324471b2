from typing import Any

import pytest
import torch
from tests.training.conftest import Small

from onward.data.encoded import EncodedCorpus, Encoding, encode_text
from onward.data.lanes import Lanes
from onward.errors import CorpusError, RunError
from onward.model import LanguageModel
from onward.training.follow import Setup, follow, receive_setup
from onward.training.group import Ended, SingleProcess, StoppedByLeader
from onward.training.trainer import Trainer


class Scripted(SingleProcess):
    """The group of a process that gets these messages from process 0."""

    rank, size = 1, 2

    def __init__(self, *messages: object) -> None:
        self._messages = list(messages)

    def receive(self) -> Any:
        return self._messages.pop(0)


def test_another_text_is_refused(corpus: EncodedCorpus, small: Small) -> None:
    """The files of a machine may differ from those of the first one."""
    setup = Setup(small(shards=2), len(corpus.vocabulary), corpus.digest)
    other = encode_text("another text " * 300, Encoding())
    with pytest.raises(CorpusError) as error:
        follow(Scripted(), setup, lambda _: other, device=torch.device("cpu"), is_first_here=True)
    assert corpus.digest in str(error.value)
    assert other.digest in str(error.value)
    assert "in process 1" in str(error.value)
    assert error.value.hint == "copy the same files to every machine"


def test_a_run_that_process_0_stopped_ends(corpus: EncodedCorpus, small: Small) -> None:
    with pytest.raises(StoppedByLeader):
        receive_setup(Scripted(Ended()))
    setup = Setup(small(shards=2), len(corpus.vocabulary), corpus.digest)
    with pytest.raises(StoppedByLeader):
        follow(Scripted(Ended()), setup, lambda _: corpus, device=torch.device("cpu"), is_first_here=False)


class WithOtherWeights(SingleProcess):
    """The group of a process that leads a second one, whose state is the same but whose weights are not."""

    rank, size = 0, 2

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        is_digest = tensor.dtype == torch.uint8
        return torch.cat([tensor, tensor + 1 if is_digest else tensor])


def test_different_weights_end_the_run(corpus: EncodedCorpus, small: Small) -> None:
    """Processors of different kinds round differently, so the copies of the weights drift apart."""
    recipe = small(shards=2)
    model = LanguageModel(recipe.model_config(len(corpus.vocabulary))).train()
    lanes = Lanes(corpus.ids, lanes=4, steps=16)
    trainer = Trainer(model, lanes, recipe, precision="fp32", group=WithOtherWeights())
    with pytest.raises(RunError, match="have different weights") as error:
        trainer.snapshot()
    assert "--resume" in error.value.hint
