"""How much does online learning lower the loss of a text, and how does the loss compare with compressors?

    python benchmarks/memory.py MODEL TEXT [--learned FILE] --zpaq zpaq --peers build/peers-venv/bin/python

MODEL is a model file made by `onward train`, TEXT a file that it was not trained on. Every figure is in nats
per character of TEXT, read in one pass; each symbol is scored before anything learns from it.

    network    the network alone
    weights    a copy of the weights learns (`--learn weights`)
    memory     a memory of 16 megabytes learns, empty at the start (`--learn memory`)
    both       both learn (`--learn both`)
    remembered, remembered_both
               the same as memory and both, but the memory starts with the counts of FILE, the text that the
               model was trained on, as after `onward train --remember`

The compressors zpaq (-m5; Debian's package), PPMd (order 6; `pyppmd` of peers.txt) and xz read the FILE that
the model was trained on, and then TEXT. Their figure is the growth of the output. A model that lower-cases
its input is compared on the lower-cased text. One core; the time of the memory is processor time.
"""

import lzma
import math
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onward.inference.prediction import initial_state, predict
from onward.inference.trained_model import TrainedModel
from onward.memory.memory import Memory
from onward.memory.remembered import MOST_REMEMBERED
from record import command_line, record

PPMD = (
    "import pyppmd, sys; print(len(pyppmd.compress(sys.stdin.buffer.read(), max_order=6, mem_size=1 << 26)))"
)
MOST_TIMED = 20_000


def main() -> None:
    parser = command_line(__doc__, "model", "text")
    parser.add_argument("--learned", type=Path, help="the training text")
    parser.add_argument("--zpaq", required=True, help="the program zpaq")
    parser.add_argument("--peers", required=True, help="the Python of the environment of peers.txt")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = TrainedModel.load(arguments.model)
    text = arguments.text.read_text(encoding="utf-8", errors="replace")
    learned = arguments.learned.read_text(encoding="utf-8", errors="replace") if arguments.learned else ""
    figures: dict[str, Any] = {"text": arguments.text.name, "characters": len(text)}
    for name in ("none", "weights", "memory", "both"):
        how: dict[str, Any] = {"lanes": 1} if name == "none" else {"learn": name}
        figures["network" if name == "none" else name] = round(trained.score(text, **how).nats_per_symbol, 4)
    if learned:
        end = trained.vocabulary.encode(learned)[-MOST_REMEMBERED:]
        remembering = TrainedModel(replace(trained.artefact, remembered=end))
        figures["remembered"] = round(remembering.score(text, learn="memory").nats_per_symbol, 4)
        figures["remembered_both"] = round(remembering.score(text, learn="both").nats_per_symbol, 4)
    figures["memory_microseconds_per_symbol"] = round(microseconds(trained, text), 2)
    if trained.vocabulary.lower:
        text, learned = text.lower(), learned.lower()
    sizes = {
        "zpaq": lambda raw: zpaq_size(raw, arguments.zpaq),
        "ppmd": lambda raw: int(
            subprocess.run([arguments.peers, "-c", PPMD], input=raw, capture_output=True, check=True).stdout
        ),
        "xz": lambda raw: len(lzma.compress(raw, preset=9)),
    }
    for name, size in sizes.items():
        before = size(learned.encode()) if learned else 0
        grown = size((learned + text).encode()) - before
        figures[name] = round(8 * grown * math.log(2) / len(text), 4)
    record("memory", figures)


def zpaq_size(raw: bytes, program: str) -> int:
    """Returns the size of an archive of zpaq."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "text").write_bytes(raw)
        subprocess.run(
            [program, "add", "a.zpaq", "text", "-m5", "-t1"], cwd=folder, capture_output=True, check=True
        )
        return Path(folder, "a.zpaq").stat().st_size


@torch.inference_mode()
def microseconds(trained: TrainedModel, text: str) -> float:
    """Returns the processor time of the memory for each symbol, in microseconds."""
    ids = torch.from_numpy(trained.vocabulary.encode(text[: MOST_TIMED + 1]).astype(np.int64))
    logits, _ = predict(trained.model, ids[:-1, None], initial_state(trained.model, 1))
    network = torch.softmax(logits[:, 0], dim=-1).numpy()
    memory = Memory(trained.vocabulary)
    started = time.process_time()
    memory.read(ids[1:].numpy(), network)
    return (time.process_time() - started) / len(network) * 1e6


if __name__ == "__main__":
    main()
