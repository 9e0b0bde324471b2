"""Several sessions of one model, carried one symbol further as lanes of one step."""

from collections.abc import Sequence

import numpy as np
import torch

from onward.inference.session import Session
from onward.inference.stepper import Stepper
from onward.layers.state import join_lanes, map_state


@torch.inference_mode()
def feed_together(stepper: Stepper, sessions: Sequence[Session], symbols: Sequence[int]) -> None:
    """Feeds each session a symbol. None may learn, since then its weights are its own.

    Args:
        stepper: of the model of all.
        sessions: B of them, at most `FEW_LANES` for the step to be quick.
        symbols: B ids.
    """
    stepper.state = join_lanes([session.state for session in sessions])
    logits = torch.from_numpy(stepper.step(np.array(symbols, np.int64)))
    state = stepper.state
    for i, (session, symbol) in enumerate(zip(sessions, symbols, strict=True)):
        lane = map_state(lambda part, i=i: part[i : i + 1].clone(), state)
        session.arrive(symbol, lane, logits[None, i : i + 1].to(session.logits, copy=True))
