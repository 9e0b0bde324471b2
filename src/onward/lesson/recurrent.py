"""Rung `recurrent`: the loop as a layer.

New here: **the recurrent form**. The loop of rung `eight` is one line with a layer of the library: a simple
RNN reads eight characters, and its last output predicts the ninth.

    h_t = relu(W e(c_t) + U h_{t-1} + b)          h_0 = 0,  U = I at first
    logits = B h_8

Here relu is applied to the sum, but in rung `eight` to each part. `Unrolled` is the same layer, written as a
loop. `run` shows that its outputs and gradients equal those of the layer, up to 1e-6.

Expect about 1.44 nats per character after eight epochs, in a minute.
"""

import torch
from torch import Tensor, nn

from onward.layers.simple import SimpleRNN
from onward.lesson.eight import EMBEDDING, HIDDEN, examples
from onward.lesson.fit import cross_entropy, evaluate, fit
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import read_text

RUNG = Rung(
    name="recurrent",
    new="the loop as a layer; the unrolled and the recurrent form are the same function",
    measure="training loss of the last epoch, nats per character",
    lesson="1.6421",
    target=1.645,
    minutes=1.5,
)
EPOCHS = 8


class Recurrent(nn.Module):
    """Maps any number of characters (B, T) to the logits (B, V) of the next one."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.rnn = SimpleRNN(EMBEDDING, HIDDEN, activation="relu", initialisation="identity")
        self.blue = nn.Linear(HIDDEN, symbols)
        nn.init.xavier_uniform_(self.blue.weight)
        nn.init.zeros_(self.blue.bias)

    def forward(self, characters: Tensor) -> Tensor:
        x = self.embedding(characters.t())  # (T, B, D)
        y, _ = self.rnn(x, self.rnn.initial_state(x.shape[1]))
        return self.blue(y[-1])  # (B, V)


class Unrolled(nn.Module):
    """The same function with the same weights, written as a loop."""

    def __init__(self, recurrent: Recurrent) -> None:
        super().__init__()
        self.recurrent = recurrent

    def forward(self, characters: Tensor) -> Tensor:
        weights = dict(self.recurrent.rnn.rnn.named_parameters())
        w, u = weights["weight_ih_l0"], weights["weight_hh_l0"]
        bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        hidden = torch.zeros(len(characters), HIDDEN)
        for x in self.recurrent.embedding(characters).unbind(1):
            hidden = (x @ w.t() + hidden @ u.t() + bias).relu()
        return self.recurrent.blue(hidden)


def greatest_difference(one: nn.Module, other: nn.Module, x: Tensor, y: Tensor) -> float:
    """Returns the largest difference of outputs and gradients between two modules with shared weights."""
    outputs, gradients = [], []
    for network in (one, other):
        network.zero_grad()
        logits = network(x)
        cross_entropy(logits, y).backward()
        outputs.append(logits.detach())
        gradients.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    pairs = [tuple(outputs), *zip(*gradients, strict=True)]
    return max(float((a - b).abs().max()) for a, b in pairs)


def run(settings: LessonSettings) -> Outcome:
    """Compares the two forms, then trains the layer."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = Recurrent(len(text.symbols))
    x, y = examples(training)
    difference = greatest_difference(network, Unrolled(network), x[:256], y[:256])
    settings.report(f"the unrolled and the recurrent form differ by at most {difference:.1e}")
    loss = fit(network, *examples(training), EPOCHS, settings)
    details = {"unrolled_and_recurrent_differ_by": difference}
    return Outcome(
        figure=loss,
        holds=difference <= 1e-6,
        held_out=evaluate(network, *examples(held_out)),
        text=text.name,
        details=details,
    )
