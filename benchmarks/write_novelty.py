"""How much would writing copy if it used a memory?

    python benchmarks/write_novelty.py MODEL TEXT --learned FILE

A session reads the first part of TEXT, which the model was not trained on, and then writes 2,000 symbols at
temperature 1: without a memory as `onward write` does, with a memory, and with a memory that started with the
counts of FILE, the text that the model was trained on. The figures are the shares of the written symbols in
spans of 20 or more that are copied from FILE, from what the session has read, or (for the second half of the
written text) from the first half.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from onward.inference.novelty.novelty import novelty
from onward.inference.trained_model import TrainedModel
from onward.memory.layout import MEGABYTES
from onward.memory.remembered import MOST_REMEMBERED
from record import command_line, record

READ, WRITTEN, SEED = 20_000, 2_000, 0


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--learned", type=Path, required=True, help="the training text")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    learned = arguments.learned.read_text(encoding="utf-8", errors="replace")
    read = arguments.text.read_text(encoding="utf-8", errors="replace")[:READ]
    end = trained.vocabulary.encode(learned)[-MOST_REMEMBERED:]
    remembering = TrainedModel(replace(trained.artefact, remembered=end))
    texts = {
        "network": written(trained, read, 0),
        "memory": written(trained, read, MEGABYTES),
        "remembered": written(remembering, read, MEGABYTES),
    }
    figures = {name: copied(trained, text, arguments.learned, read) for name, text in texts.items()}
    record("write_novelty", {"text": arguments.text.name, "read": len(read), "written": WRITTEN, **figures})


def written(trained: TrainedModel, read: str, memory: float | int) -> str:
    """Returns a continuation of a text."""
    session, draw = trained.session(reach=0, memory=memory), np.random.default_rng(SEED)
    session.feed(read)
    ids: list[int] = []
    for _ in range(WRITTEN):
        chances = session.probabilities.astype(np.float64)
        ids.append(int(draw.choice(len(chances), p=chances / chances.sum())))
        session.feed(ids[-1:])
    return trained.vocabulary.decode(ids)


def copied(trained: TrainedModel, text: str, learned: Path, read: str) -> dict[str, float]:
    """Returns the shares of a text that are copied from each source; the last one, of its second half."""
    lower, half = trained.vocabulary.lower, len(text) // 2
    with TemporaryDirectory() as folder:
        before, first = Path(folder, "read"), Path(folder, "first half")
        before.write_text(read, encoding="utf-8")
        first.write_text(text[:half], encoding="utf-8")
        sources = {
            "from_training": (text, learned),
            "from_read": (text, before),
            "from_itself": (text[half:], first),
        }
        found = {name: novelty(part, source, lower=lower) for name, (part, source) in sources.items()}
    return {name: round(each.share, 4) for name, each in found.items()}


if __name__ == "__main__":
    main()
