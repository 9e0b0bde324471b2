"""Rung `eight`: a loop reads eight characters and predicts the ninth.

New here: **the loop**. The network has the three matrices of rung `three`, but it reads any number of
characters. It learns only if the hidden-to-hidden matrix starts as the identity: the untrained network then
sums its inputs and forgets nothing (Le, Jaitly and Hinton, arXiv 1504.00941).

    h_1 = relu(G e(c_1))
    h_t = relu(G e(c_t)) + relu(O h_{t-1})        t = 2 ... 8,  O = I at first
    logits = B h_8

Expect about 1.72 nats per character after twelve epochs, in two minutes.
"""

import torch
from torch import Tensor, nn

from onward.lesson.fit import evaluate, fit
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text
from onward.lesson.three import next_character

RUNG = Rung(
    name="eight",
    new="a loop over eight characters, which starts from the identity matrix",
    measure="training loss of the last epoch, nats per character",
    lesson="1.8050",
    target=1.805,
    minutes=2.0,
)
INPUTS = 8
EMBEDDING, HIDDEN = 42, 256
EPOCHS = 12
ANSWERS = {"for thos": "e", "part of ": "t", "queens a": "n"}
"""The next characters that the lesson's network predicted."""


class Eight(nn.Module):
    """Maps any number of characters (B, T) to the logits (B, V) of the next one."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.green = nn.Linear(EMBEDDING, HIDDEN)
        self.orange = nn.Linear(HIDDEN, HIDDEN)
        self.blue = nn.Linear(HIDDEN, symbols)
        for layer in (self.green, self.blue):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.eye_(self.orange.weight)
        nn.init.zeros_(self.orange.bias)

    def forward(self, characters: Tensor) -> Tensor:
        first, *rest = self.green(self.embedding(characters)).relu().unbind(1)  # (B, H) each
        hidden = first
        for seen in rest:
            hidden = seen + self.orange(hidden).relu()
        return self.blue(hidden)


def examples(text: LessonText) -> tuple[Tensor, Tensor]:
    """Returns examples that start at every eighth character: x (N, 8) and the next character y (N,)."""
    windows = text.ids.unfold(0, INPUTS + 1, INPUTS)  # (N, 9)
    return windows[:, :INPUTS], windows[:, INPUTS]


def run(settings: LessonSettings) -> Outcome:
    """Trains the network, and makes the lesson's three predictions."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = Eight(len(text.symbols))
    loss = fit(network, *examples(training), EPOCHS, settings)
    answers = {prime: next_character(network, text, prime) for prime in ANSWERS}
    return Outcome(
        figure=loss,
        held_out=evaluate(network, *examples(held_out)),
        text=text.name,
        details={"predicted_next": {repr(prime): repr(answer) for prime, answer in answers.items()}},
    )
