"""Rung `onehot`: one-hot vectors as inputs and targets.

New here: **an embedding is a matrix product**. Looking up a row of a table equals multiplying a one-hot
vector by the table; if the table is the identity, the row is the one-hot vector itself. Likewise, the loss
of one-hot targets equals the loss of integer targets:

    - sum_v onehot(y)_v log p_v = - log p_y

`run` compares both forms, then trains the network of rung `sequence` with one-hot vectors in place of the
embedding.

Expect about 1.73 nats per character after eight epochs, in two minutes. The learning rate falls in the second
half of the epochs; with a constant rate, the loss stays at 1.75.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onward.layers.simple import SimpleRNN
from onward.lesson.fit import cross_entropy, evaluate, fit
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.sequence import EPOCHS, HIDDEN, examples
from onward.lesson.text import read_text

RUNG = Rung(
    name="onehot",
    new="one-hot vectors as inputs and targets: an embedding is a matrix product",
    measure="training loss of the last epoch, mean over 8 positions, nats per character",
    lesson="1.7410",
    target=1.745,
    minutes=2.0,
)


def one_hot(characters: Tensor, symbols: int) -> Tensor:
    """Returns the one-hot vectors (..., V) of ids (...)."""
    return nn.functional.one_hot(characters, symbols).float()


def row_of_identity(characters: Tensor, symbols: int) -> Tensor:
    """Returns the same vectors, as rows of a fixed embedding that is the identity."""
    return nn.functional.embedding(characters, torch.eye(symbols))


class OneHot(nn.Module):
    """Maps characters (B, T) to logits (B, T, V); `vector` turns characters into vectors."""

    def __init__(self, symbols: int, vector: Callable[[Tensor, int], Tensor] = one_hot) -> None:
        super().__init__()
        self.symbols = symbols
        self.vector = vector
        self.rnn = SimpleRNN(symbols, HIDDEN, activation="relu", initialisation="identity")
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        x = self.vector(characters.t(), self.symbols)  # (T, B, V)
        y, _ = self.rnn(x, self.rnn.initial_state(x.shape[1]))
        return self.blue(y).transpose(0, 1)


def one_hot_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean loss of one-hot targets (..., V); `cross_entropy` is for integer targets."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


def run(settings: LessonSettings) -> Outcome:
    """Compares the two forms, then trains."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network, twin = OneHot(len(text.symbols)), OneHot(len(text.symbols), row_of_identity)
    twin.load_state_dict(network.state_dict())
    x, y = (part[:256] for part in examples(training))
    with torch.no_grad():
        logits, targets = network(x), nn.functional.one_hot(y, len(text.symbols))
        details = {
            "outputs_differ_by": float((logits - twin(x)).abs().max()),
            "losses_differ_by": abs(float(cross_entropy(logits, y) - one_hot_cross_entropy(logits, targets))),
        }
    settings.report(f"one-hot vectors and lookups differ by at most {details['outputs_differ_by']:.1e}")
    loss = fit(network, *examples(training), EPOCHS, settings, falls=True)
    return Outcome(
        figure=loss, held_out=evaluate(network, *examples(held_out)), text=text.name, details=details
    )
