"""Rung `onehot`: one-hot in and out.

New here: nothing that the network computes, and that is the point. **An embedding is a matrix product**: a
lookup in a table equals a one-hot vector times the table; with the identity as its table it is the one-hot
vector itself. And a loss from one-hot targets equals the loss from integers:

    - sum_v onehot(y)_v log p_v = - log p_y

`run` shows both to be equal, then trains rung `sequence` with one-hot vectors in place of the embedding.

Expect about 1.73 nats a character after eight epochs, in two minutes. The learning rate falls in the second
half; held at its peak, the loss stays at 1.75 (measured).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onward.layers.simple import SimpleRNN
from onward.lesson.fit import cross_entropy, fit, judge
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.sequence import EPOCHS, HIDDEN, samples
from onward.lesson.text import read_text

RUNG = Rung(
    name="onehot",
    new="one-hot vectors in and out; an embedding is a matrix product",
    measure="training loss of the last epoch, mean over 8 positions, nats a character",
    lesson="1.7410",
    target=1.745,
    minutes=2.0,
)


def one_hot(characters: Tensor, symbols: int) -> Tensor:
    """One-hot vectors (..., V) of whole numbers (...)."""
    return nn.functional.one_hot(characters, symbols).float()


def row_of_identity(characters: Tensor, symbols: int) -> Tensor:
    """The same, looked up in an embedding that is the identity and is not trained."""
    return nn.functional.embedding(characters, torch.eye(symbols))


class OneHot(nn.Module):
    """Logits (B, T, V) of the character after each, for (B, T); `vector` makes vectors of characters."""

    def __init__(self, symbols: int, vector: Callable[[Tensor, int], Tensor] = one_hot) -> None:
        super().__init__()
        self.symbols = symbols
        self.vector = vector
        self.rnn = SimpleRNN(symbols, HIDDEN, activation="relu", initialisation="identity")
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        """As in rung `sequence`, but for the vectors."""
        x = self.vector(characters.t(), self.symbols)  # (T, B, V)
        y, _ = self.rnn(x, self.rnn.initial_state(x.shape[1]))
        return self.blue(y).transpose(0, 1)


def one_hot_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss from one-hot targets (..., V): categorical, where `cross_entropy` is sparse."""
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


def run(settings: LessonSettings) -> Outcome:
    """Compares the forms, then trains."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network, twin = OneHot(len(text.symbols)), OneHot(len(text.symbols), row_of_identity)
    twin.load_state_dict(network.state_dict())
    x, y = (part[:256] for part in samples(training))
    with torch.no_grad():
        logits, targets = network(x), nn.functional.one_hot(y, len(text.symbols))
        details = {
            "outputs_differ_by": float((logits - twin(x)).abs().max()),
            "losses_differ_by": abs(float(cross_entropy(logits, y) - one_hot_cross_entropy(logits, targets))),
        }
    settings.say(f"one-hot and looked-up differ by {details['outputs_differ_by']:.1e} at most")
    loss = fit(network, *samples(training), EPOCHS, settings, falls=True)
    return Outcome(figure=loss, held_out=judge(network, *samples(held_out)), text=text.name, details=details)
