"""Rung `three`: predict the fourth character from three.

New here: **weights shared between positions**. The network has three matrices, named by their colours in the
lesson's drawings. It uses input to hidden (green, G) for every character, hidden to hidden (orange, O)
between characters, and hidden to output (blue, B) once, at the end. The examples do not overlap.

    h1 = relu(G e(c1))
    h2 = relu(G e(c2)) + tanh(O h1)
    h3 = relu(G e(c3)) + tanh(O h2)
    logits = B h3

Expect about 1.98 nats per character after twelve epochs, in a minute. The learning rate falls in the second
half of the epochs; with a constant rate, the loss stays at 2.06.
"""

import torch
from torch import Tensor, nn

from onward.lesson.fit import evaluate, fit
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import LessonText, read_text

RUNG = Rung(
    name="three",
    new="predict the fourth character from three, with weights shared between positions",
    measure="training loss of the last epoch, nats per character",
    lesson="about 2.0",
    target=2.0,
    minutes=2.0,
)
INPUTS = 3
EMBEDDING, HIDDEN = 42, 256
EPOCHS = 12
ANSWERS = {"phi": "l", " th": "e", " an": "d"}
"""The next characters that the lesson's network predicted."""


class Three(nn.Module):
    """Maps three characters (B, 3) to the logits (B, V) of the fourth."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.green = nn.Linear(EMBEDDING, HIDDEN)
        self.orange = nn.Linear(HIDDEN, HIDDEN)
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        first, second, third = self.green(self.embedding(characters)).relu().unbind(1)  # (B, H) each
        hidden = second + self.orange(first).tanh()
        hidden = third + self.orange(hidden).tanh()
        return self.blue(hidden)


def examples(text: LessonText) -> tuple[Tensor, Tensor]:
    """Returns examples that start at every third character: x (N, 3) and the next character y (N,)."""
    windows = text.ids.unfold(0, INPUTS + 1, INPUTS)  # (N, 4)
    return windows[:, :INPUTS], windows[:, INPUTS]


def next_character(network: nn.Module, text: LessonText, prime: str) -> str:
    """Returns the most likely character after the prime."""
    network.eval()
    with torch.inference_mode():
        return text.decode(network(text.encode(prime)[None]).argmax(-1))


def run(settings: LessonSettings) -> Outcome:
    """Trains the network, and compares its three answers with those of the lesson."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = Three(len(text.symbols))
    loss = fit(network, *examples(training), EPOCHS, settings, falls=True)
    answers = {prime: next_character(network, text, prime) for prime in ANSWERS}
    return Outcome(
        figure=loss,
        holds=answers == ANSWERS,
        held_out=evaluate(network, *examples(held_out)),
        text=text.name,
        details={"predicted_next": {repr(prime): repr(answer) for prime, answer in answers.items()}},
    )
