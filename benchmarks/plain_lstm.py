"""The LSTM that text_budget.py compares with: what a careful user of plain PyTorch would write.

Embedding, two layers of torch.nn.LSTM, readout; truncated back-propagation over lanes with carried state;
AdamW with warm-up and linear decay; bfloat16 autocast, the faster setting on machines with bfloat16 units. It
shares no code with onward.
"""

import math
import time

import torch
from torch import nn

LANES, STEPS, RATE, WARM_UP = 16, 128, 3e-3, 50
TIMED = 25
"""Steps to time, after as many warm-up steps, to plan how many steps fit into the seconds."""


class PlainLSTM:
    """A character model of one text, as wide as `parameters` allows."""

    def __init__(self, text: str, *, parameters: int) -> None:
        torch.manual_seed(0)
        self.symbols = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
        size = len(self.symbols) + 1  # and one for unknown symbols
        linear = 16 + 2 * size  # solves 16 w² + linear w = parameters
        width = round((math.sqrt(linear**2 + 64 * parameters) - linear) / 32)
        self.network = nn.ModuleDict(
            {"in": nn.Embedding(size, width), "rnn": nn.LSTM(width, width, 2), "out": nn.Linear(width, size)}
        )
        self.ids = self.encode(text)

    def encode(self, text: str) -> torch.Tensor:
        """Returns the text as ids, (N,)."""
        return torch.tensor([self.symbols.get(symbol, len(self.symbols)) for symbol in text])

    def nats(self, x: torch.Tensor, y: torch.Tensor, state: tuple | None) -> tuple[torch.Tensor, tuple]:
        """Returns the losses of y (T, B) given x (T, B), flattened, and the next state."""
        hidden, after = self.network["rnn"](self.network["in"](x), state)
        logits = self.network["out"](hidden).float()
        return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none"), after

    def train(self, *, seconds: float) -> dict:
        """Trains for about `seconds`; returns the number of symbols."""
        started = time.perf_counter()
        length = (len(self.ids) - 1) // LANES
        x = self.ids[: LANES * length].view(LANES, length).t()
        y = self.ids[1 : LANES * length + 1].view(LANES, length).t()
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=RATE, weight_decay=0.1, fused=True)
        state, at, step, steps, timed = None, 0, 0, 10**9, started
        while step < steps:
            if at + STEPS > length:
                state, at = None, 0
            rate = min(1.0, (step + 1) / WARM_UP) * (1 - step / steps)
            for group in optimiser.param_groups:
                group["lr"] = RATE * rate
            with torch.autocast("cpu", torch.bfloat16):
                losses, state = self.nats(x[at : at + STEPS], y[at : at + STEPS], state)
            state = tuple(part.detach() for part in state)
            losses.mean().backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            at, step = at + STEPS, step + 1
            if step == TIMED:
                timed = time.perf_counter()
            if step == 2 * TIMED:
                now = time.perf_counter()
                steps = step + int((seconds - (now - started)) / (now - timed) * TIMED)
        return {
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "steps": steps,
            "symbols_trained": steps * LANES * STEPS,
            "seconds": round(time.perf_counter() - started, 1),
        }

    @torch.inference_mode()
    def score(self, text: str, *, cold: int) -> dict:
        """Returns the mean nats of the text in one pass, and in windows of `cold` from an empty state."""
        ids = self.encode(text)
        x, y = ids[:-1], ids[1:]
        total, state = 0.0, None
        for at in range(0, len(y), 4096):
            losses, state = self.nats(x[at : at + 4096, None], y[at : at + 4096, None], state)
            total += float(losses.sum())
        windows = len(y) // cold
        x, y = (part[: windows * cold].view(windows, cold).t() for part in (x, y))
        return {
            "streaming_nats_per_symbol": round(total / (len(ids) - 1), 4),
            f"cold_{cold}_nats_per_symbol": round(float(self.nats(x, y, None)[0].mean()), 4),
        }
