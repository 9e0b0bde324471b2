"""How the processes of a group begin a run together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from onward.artefact import Artefact
from onward.data.encoded import EncodedCorpus, Encoding
from onward.errors import CorpusError
from onward.model import LanguageModel
from onward.signals import held_back_signals
from onward.training.group import Group, StoppedByLeader
from onward.training.random_state import forked_random
from onward.training.recipe import Recipe
from onward.training.shards import threads_of_shards
from onward.training.split import split_corpus
from onward.training.trainer import Trainer


@dataclass(frozen=True)
class Setup:
    """The first message of process 0: what the others need to build their trainers.

    Attributes:
        recipe: the recipe, with everything that the run has chosen.
        symbols: V, the size of the vocabulary.
        digest: the digest of the corpus.
    """

    recipe: Recipe
    symbols: int
    digest: str


def lead(trainer: Trainer, corpus: EncodedCorpus) -> None:
    """Gives all other processes of the group the state of this one, which is process 0."""
    group = trainer.group
    if group.size == 1:
        return
    group.broadcast(Setup(trainer.recipe, len(corpus.vocabulary), corpus.digest))
    group.barrier()
    trainer.broadcast_state()


def receive_setup(group: Group) -> Setup:
    """Returns the first message of process 0.

    Raises:
        StoppedByLeader: process 0 ended the run before its first step.
        LostProcess: another process has ended.
    """
    setup = group.receive()
    if not isinstance(setup, Setup):
        raise _stopped()
    return setup


def follow(
    group: Group,
    setup: Setup,
    encode: Callable[[Encoding], EncodedCorpus],
    *,
    device: torch.device,
    is_first_here: bool,
) -> Artefact:
    """Trains as a process other than process 0, and returns the model that process 0 wrote.

    Args:
        group: the processes of the run.
        setup: the first message of process 0.
        encode: encodes the corpus, and keeps the result for the other processes of this machine.
        device: the device to train on.
        is_first_here: whether this process is the first one on its machine, and so encodes the corpus.

    Raises:
        CorpusError: the corpus cannot be read, or is not that of process 0.
        RecipeError: the lanes or the processes do not fit the recipe's shards.
        StoppedByLeader: process 0 ended the run before the last step.
        LostProcess: another process has ended.
    """
    corpus = encode(setup.recipe.encoding) if is_first_here else None
    group.barrier()
    corpus = corpus or encode(setup.recipe.encoding)
    if corpus.digest != setup.digest:
        raise CorpusError(
            f"expected the text of process 0, with sha256 {setup.digest}, "
            f"got one with sha256 {corpus.digest} in process {group.rank}",
            hint="copy the same files to every machine",
        )
    with forked_random(device), threads_of_shards(setup.recipe), held_back_signals(records_all=True):
        model = LanguageModel(setup.recipe.model_config(setup.symbols)).train().to(device)
        lanes = split_corpus(corpus, setup.recipe).lanes(setup.recipe)
        ended = Trainer(model, lanes, setup.recipe, precision="fp32", group=group).follow()
    if not isinstance(ended.result, Artefact):
        raise _stopped()
    return ended.result


def _stopped() -> StoppedByLeader:
    return StoppedByLeader("process 0 ended this run before its last step, and reports why")
