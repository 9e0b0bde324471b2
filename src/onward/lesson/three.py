"""Rung `three`: three characters in, the fourth out.

New here: **weights that are shared between positions**. The network has three matrices and uses each as
often as it needs: input to hidden (green in the lesson's drawings) for every character, hidden to hidden
(orange) between them, hidden to output (blue) once, at the end. The triples do not overlap.

    h1 = relu(G e(c1))
    h2 = relu(G e(c2)) + tanh(O h1)
    h3 = relu(G e(c3)) + tanh(O h2)
    logits = B h3

Expect about 1.98 nats a character after twelve epochs, in a minute. The learning rate falls in the second
half; held at its peak, the loss stays at 2.06 (measured).
"""

import torch
from torch import Tensor, nn

from onward.lesson.fit import fit, judge
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import Text, read_text

RUNG = Rung(
    name="three",
    new="three characters in, the fourth out: weights shared between positions",
    measure="training loss of the last epoch, nats a character",
    lesson="about 2.0",
    target=2.0,
    minutes=2.0,
)
INPUTS = 3
EMBEDDING, HIDDEN = 42, 256
EPOCHS = 12
ANSWERS = {"phi": "l", " th": "e", " an": "d"}
"""What the lesson's network said comes next."""


class Three(nn.Module):
    """Logits (B, V) of the fourth character, from three, (B, 3)."""

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDING)
        self.green = nn.Linear(EMBEDDING, HIDDEN)
        self.orange = nn.Linear(HIDDEN, HIDDEN)
        self.blue = nn.Linear(HIDDEN, symbols)

    def forward(self, characters: Tensor) -> Tensor:
        """Each character through the same green arrow, joined to what came before by the same orange one."""
        first, second, third = self.green(self.embedding(characters)).relu().unbind(1)  # (B, H) each
        hidden = second + self.orange(first).tanh()
        hidden = third + self.orange(hidden).tanh()
        return self.blue(hidden)


def samples(text: Text) -> tuple[Tensor, Tensor]:
    """Every third character begins a sample: x (N, 3) and the character after it, y (N,)."""
    windows = text.ids.unfold(0, INPUTS + 1, INPUTS)  # (N, 4)
    return windows[:, :INPUTS], windows[:, INPUTS]


def next_character(network: nn.Module, text: Text, prime: str) -> str:
    """The likeliest character after the prime."""
    network.eval()
    with torch.inference_mode():
        return text.decode(network(text.encode(prime)[None]).argmax(-1))


def run(settings: LessonSettings) -> Outcome:
    """Trains the network, and asks it the lesson's three questions."""
    text = read_text()
    training, held_out = text.split()
    torch.manual_seed(settings.seed)
    network = Three(len(text.symbols))
    loss = fit(network, *samples(training), EPOCHS, settings, falls=True)
    answers = {prime: next_character(network, text, prime) for prime in ANSWERS}
    return Outcome(
        figure=loss,
        holds=answers == ANSWERS,
        held_out=judge(network, *samples(held_out)),
        text=text.name,
        details={"after": {repr(prime): repr(answer) for prime, answer in answers.items()}},
    )
