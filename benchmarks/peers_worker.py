"""One side of peers_training.py: a model of another library, trained on random symbols.

    python benchmarks/peers_worker.py {lstm,gru,mingru,keras} SYMBOLS LANES STEPS [--precision bf16]

It runs in the environment of peers.txt. After the warm-up it prints {"parameters": N}. Then it reads numbers
of steps from standard input, one a line, runs them, and prints {"seconds": S} for each. A side that fails
prints {"error": "..."}. All have an embedding, two recurrent layers and a readout, and use AdamW with carried
state (except minGRU-pytorch, whose language model carries no state in training).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable

WARM_UP = 5
RATE, DECAY, CLIP = 3e-3, 0.1, 1.0
WIDTH, LAYERS = {"lstm": 384, "keras": 384, "gru": 448, "mingru": 308}, 2
"""minGRU-pytorch has a feed-forward layer after each recurrent layer: width 308 gives as many parameters."""


def torch_rnn(options: argparse.Namespace) -> tuple[int, Callable[[], None]]:
    """torch.nn.LSTM or torch.nn.GRU, as its documentation uses it."""
    import torch  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[options.side]
    width = WIDTH[options.side]
    embedding, readout = nn.Embedding(options.symbols, width), nn.Linear(width, options.symbols)
    network = nn.ModuleList([embedding, rnn := kind(width, width, LAYERS), readout])
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    ids = torch.randint(options.symbols, (options.steps + 1, options.lanes))
    state = None

    def step() -> None:
        nonlocal state
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            hidden, after = rnn(embedding(ids[:-1]), state)
            logits = readout(hidden).float()
        state = tuple(part.detach() for part in after) if options.side == "lstm" else after.detach()
        nn.functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()

    return sum(p.numel() for p in network.parameters()), step


def mingru(options: argparse.Namespace) -> tuple[int, Callable[[], None]]:
    """The language model of minGRU-pytorch."""
    import torch  # noqa: PLC0415
    from minGRU_pytorch.minLM import minLM  # noqa: PLC0415  # pyright: ignore

    network = minLM(num_tokens=options.symbols, dim=WIDTH["mingru"], depth=LAYERS)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    ids = torch.randint(options.symbols, (options.lanes, options.steps + 1))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            loss = network(ids, return_loss=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad()

    return sum(p.numel() for p in network.parameters()), step


def keras_lstm(options: argparse.Namespace) -> tuple[int, Callable[[], None]]:
    """Keras 3, stateful, in the precision policy of its documentation for bfloat16 or in float32."""
    import keras  # noqa: PLC0415  # pyright: ignore
    import numpy as np  # noqa: PLC0415

    if options.precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    width, layers = WIDTH["keras"], keras.layers
    network = keras.Sequential(
        [
            keras.Input(batch_shape=(options.lanes, options.steps), dtype="int32"),
            layers.Embedding(options.symbols, width),
            *(layers.LSTM(width, return_sequences=True, stateful=True) for _ in range(LAYERS)),
            layers.Dense(options.symbols, dtype="float32"),
        ]
    )
    network.compile(
        optimizer=keras.optimizers.AdamW(RATE, weight_decay=DECAY, global_clipnorm=CLIP),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    ids = np.random.default_rng(0).integers(0, options.symbols, (options.lanes, options.steps + 1))
    x, y = ids[:, :-1].astype(np.int32), ids[:, 1:].astype(np.int32)
    return network.count_params(), lambda: network.train_on_batch(x, y)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("side", choices=WIDTH)
    for name in ("symbols", "lanes", "steps"):
        parser.add_argument(name, type=int)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()
    make = {"mingru": mingru, "keras": keras_lstm}.get(options.side, torch_rnn)
    try:
        parameters, step = make(options)
        for _ in range(WARM_UP):
            step()
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}), flush=True)
        return
    print(json.dumps({"parameters": parameters}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main()
