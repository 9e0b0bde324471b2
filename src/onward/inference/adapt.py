"""Dynamic evaluation: a model that goes on learning from the text it reads (Krause et al. 2018, 1709.07432).

The text is read in blocks. A block is scored with the weights as they are, and only then are they moved, by
one small step against the gradient of its surprise: so nothing is scored by what was learned from it. The
weights that move are a copy; the model that was trained stays as it is, and `reset` goes back to it.

The paper scales its steps by the gradients of the training text, which a model file does not keep. Steps of
plain descent whose length is limited lower the surprise as well, and need no memory beside the weights.
"""

import copy
import json
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor

from onward.artefact import digest_of, set_weights, weights_of
from onward.errors import ArtefactError, InputError
from onward.inference.prediction import device_of
from onward.layers.state import State, map_state
from onward.model import LanguageModel, losses

_BASE = "base"  # the key of a saved adapter under which the digest of the weights it began as stands


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """How a model learns while it reads.

    Attributes:
        rate: of a step, which is the gradient of the mean surprise of a block times this.
        block: symbols that are scored before they are learned from.
        clip: largest norm of the gradient.
        decay: share of the way back to the trained weights that each step goes; 0 never goes back.

    Raises:
        InputError: a number that is none of these.
    """

    rate: float = 0.1
    block: int = 32
    clip: float = 1.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.block < 2:
            raise InputError(f"expected a block of 2 symbols or more, got {self.block}")
        for name, least, most in (("rate", 0.0, 10.0), ("clip", 1e-6, 1e6), ("decay", 0.0, 1.0)):
            if not least <= getattr(self, name) <= most:
                raise InputError(f"expected a {name} from {least} to {most}, got {getattr(self, name)}")


class Adapter:
    """A copy of a model that learns.

    Args:
        base: the trained model, which is left as it is.
        adapting: how it learns.

    Attributes:
        model: the copy, in evaluation mode, of the type of the base.
        base, adapting: as given.
        steps: how often it has learned since it was made or reset.
    """

    def __init__(self, base: LanguageModel, adapting: Adapting | None = None) -> None:
        self.base, self.adapting = base, adapting or Adapting()
        self.model = copy.deepcopy(base).eval()
        self.steps = 0

    def reset(self) -> None:
        """Forgets all that was learned."""
        self._set(weights_of(self.base), 0)

    def learn(self, ids: Tensor, state: State) -> bool:
        """Moves the weights by one step, so that the ids would have been less surprising.

        Args:
            ids: (T, 1), symbols that were scored, of which all but the first are learned.
            state: before the first of them.

        Returns:
            Whether they moved: they do not where the gradient is no finite number.
        """
        with torch.inference_mode(False), torch.enable_grad():
            # what inference mode made cannot be part of a gradient
            state = map_state(lambda part: part.clone(), state)
            ids = ids.clone().to(device_of(self.model))
            parameters = [parameter.requires_grad_(True) for parameter in self.model.parameters()]
            logits, _ = self.model(ids[:-1], state)
            gradients = torch.autograd.grad(losses(logits, ids[1:]).mean(), parameters, allow_unused=True)
        return self._move(parameters, [g if g is not None else torch.zeros(()) for g in gradients])

    @torch.no_grad()
    def _move(self, parameters: list[Tensor], gradients: list[Tensor]) -> bool:
        norm = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
        moves = np.isfinite(norm)
        factor = self.adapting.rate * min(1.0, self.adapting.clip / max(norm, 1e-30))
        for parameter, gradient, base in zip(parameters, gradients, self.base.parameters(), strict=True):
            parameter.requires_grad_(False)
            if moves:
                parameter.sub_(gradient, alpha=factor)
                if self.adapting.decay:
                    parameter.lerp_(base, self.adapting.decay)
        self.steps += bool(moves)
        return bool(moves)

    def to_bytes(self) -> bytes:
        """What was learned, as a safetensors file; `restore` undoes it."""
        weights = {name: w.detach().cpu().contiguous() for name, w in weights_of(self.model).items()}
        return to_safetensors(weights, {_BASE: digest_of(weights_of(self.base)), "steps": str(self.steps)})

    def restore(self, raw: bytes) -> None:
        """Goes on from what `to_bytes` gave.

        Raises:
            ArtefactError: it is damaged, or was learned by a copy of another model.
        """
        hint = "reset the session: what it had learned is lost"
        try:
            weights = from_safetensors(raw)
            length = int.from_bytes(raw[:8], "little")
            facts = _metadata(raw[8 : 8 + length])
            steps, base = int(facts["steps"]), facts[_BASE]
        except (SafetensorError, ValueError, KeyError) as error:
            raise ArtefactError(f"these are no weights that were learned: {error}", hint=hint) from error
        own = weights_of(self.base)
        if base != digest_of(own):
            raise ArtefactError("these weights were learned by a copy of another model", hint=hint)
        shapes = {name: (w.shape, w.dtype) for name, w in weights.items()}
        if shapes != {name: (w.shape, w.dtype) for name, w in own.items()}:
            raise ArtefactError("these weights have other shapes than those of the model", hint=hint)
        if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
            raise ArtefactError("these weights are not finite numbers", hint=hint)
        self._set(weights, steps)

    def copy(self) -> "Adapter":
        """One that learns by itself from here on."""
        twin = Adapter(self.base, self.adapting)
        twin._set(weights_of(self.model), self.steps)
        return twin

    def _set(self, weights: dict[str, Tensor], steps: int) -> None:
        device = device_of(self.base)
        set_weights(self.model, {name: w.detach().clone().to(device) for name, w in weights.items()})
        self.steps = steps


def _metadata(header: bytes) -> dict[str, str]:
    """What a safetensors file says of itself."""
    return json.loads(header)["__metadata__"]
