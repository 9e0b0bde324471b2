"""Dynamic evaluation: a model that learns from the text it reads (Krause et al. 2018, arXiv 1709.07432).

The text is read in blocks. The model first scores a block, and then takes a small gradient step on it, so
no symbol is scored by weights that learned from it. The step changes a copy of the weights. The trained
model does not change, and `reset` restores its weights.

The paper scales the steps by the gradients on the training text, which a model file does not contain. Plain
gradient descent with clipped gradients also lowers the surprise, and needs memory only for the weights.
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
from onward.layers.state import State, map_state
from onward.model import LanguageModel, losses
from onward.stored import describe, whole_number
from onward.threads import explain_fork_errors

_BASE_DIGEST = "base"  # metadata key of a saved adapter


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """How a model learns while it reads.

    Attributes:
        rate: learning rate of a step, whose loss is the mean surprise of a block.
        block: number of symbols that are scored before the model learns from them.
        clip: maximum norm of the gradient.
        decay: share of the difference from the trained weights that each step removes; 0 removes nothing.

    Raises:
        InputError: a value is out of range.
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
        base: the trained model, which does not change.
        options: how the copy learns.

    Attributes:
        model: the copy, in evaluation mode.
        base, options: as given.
        steps: number of steps since the adapter was created or reset.
    """

    def __init__(self, base: LanguageModel, options: AdaptOptions | None = None) -> None:
        self.base, self.options = base, options or AdaptOptions()
        self.model = copy.deepcopy(base).eval()
        self.steps = 0

    def reset(self) -> None:
        """Restores the trained weights."""
        self._set(weights_of(self.base), 0)

    def learn(self, ids: Tensor, state: State) -> bool:
        """Takes one step on a block.

        Args:
            ids: symbols that were scored, (T, 1). The model only reads the first, and learns from the others.
            state: the state before the first symbol.

        Returns:
            Whether the weights changed. They do not change if the gradient is not finite.
        """
        with torch.inference_mode(False), torch.enable_grad(), explain_fork_errors():
            # tensors made in inference mode cannot be part of a gradient
            state = map_state(lambda part: part.clone(), state)
            ids = ids.clone().to(self.model.device)
            parameters = [parameter.requires_grad_(True) for parameter in self.model.parameters()]
            logits, _ = self.model(ids[:-1], state)
            gradients = torch.autograd.grad(losses(logits, ids[1:]).mean(), parameters, allow_unused=True)
        return self._update(parameters, [g if g is not None else torch.zeros(()) for g in gradients])

    @torch.no_grad()
    def _update(self, parameters: list[Tensor], gradients: list[Tensor]) -> bool:
        """Updates the weights, unless the gradient is not finite; returns whether they changed."""
        norm = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
        is_finite = bool(np.isfinite(norm))
        factor = self.options.rate * min(1.0, self.options.clip / max(norm, 1e-30))
        for parameter, gradient, base in zip(parameters, gradients, self.base.parameters(), strict=True):
            parameter.requires_grad_(False)
            if is_finite:
                parameter.sub_(gradient, alpha=factor)
                if self.options.decay:
                    parameter.lerp_(base, self.options.decay)
        self.steps += is_finite
        return is_finite

    def to_bytes(self) -> bytes:
        """Returns the learned weights as a safetensors file, for `restore`."""
        weights = {name: w.detach().cpu().contiguous() for name, w in weights_of(self.model).items()}
        metadata = {_BASE_DIGEST: digest_of(weights_of(self.base)), "steps": str(self.steps)}
        return to_safetensors(weights, metadata)

    def restore(self, raw: bytes) -> None:
        """Replaces the weights with those that `to_bytes` returned.

        Raises:
            ArtefactError: the bytes are damaged, or belong to an adapter of another model.
        """
        hint = "reset the session; the learned weights are lost"
        try:
            weights = from_safetensors(raw)
            length = int.from_bytes(raw[:8], "little")
            metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
            steps, base = whole_number(int(metadata["steps"])), metadata[_BASE_DIGEST]
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
            message = f"expected learned weights, got damaged data: {describe(error)}"
            raise ArtefactError(message, hint=hint) from error
        own = weights_of(self.base)
        if base != digest_of(own):
            raise ArtefactError(
                "expected weights learned by this model, got those of another model", hint=hint
            )
        shapes = {name: (w.shape, w.dtype) for name, w in weights.items()}
        if shapes != {name: (w.shape, w.dtype) for name, w in own.items()}:
            raise ArtefactError("expected weights with the shapes of this model, got other shapes", hint=hint)
        if not all(bool(torch.isfinite(w).all()) for w in weights.values()):
            raise ArtefactError("expected finite learned weights, got infinite values or NaN", hint=hint)
        self._set(weights, steps)
        if self.model.can_overflow():
            self.reset()
            raise ArtefactError(
                "expected learned weights so small that no value can become infinite, got larger ones",
                hint=hint,
            )

    def copy(self) -> "Adapter":
        """Returns an independent adapter with the same weights."""
        twin = Adapter(self.base, self.options)
        twin._set(weights_of(self.model), self.steps)
        return twin

    def _set(self, weights: dict[str, Tensor], steps: int) -> None:
        device = self.base.device
        set_weights(self.model, {name: w.detach().clone().to(device) for name, w in weights.items()})
        self.steps = steps


class BlockLearner:
    """Collects the symbols that a session reads, and lets an adapter learn from each full block.

    Args:
        adapter: the adapter that learns.
        state: of the session, before the first symbol of the first block.

    Attributes:
        adapter: as given.
    """

    def __init__(self, adapter: Adapter, state: State) -> None:
        self.adapter = adapter
        self._start = state
        self._ids: tuple[int, ...] = ()

    @property
    def missing(self) -> int:
        """Number of symbols until the block is full."""
        return self.adapter.options.block - len(self._ids)

    def add(self, ids: np.ndarray, state: State) -> bool:
        """Adds symbols that were scored, at most `missing`, and learns if the block is full.

        Args:
            ids: the symbols, (n,).
            state: the state after the last symbol.

        Returns:
            Whether the weights changed.
        """
        self._ids = (*self._ids, *ids.tolist())
        if self.missing > 0:
            return False
        changed = self.adapter.learn(torch.tensor(self._ids)[:, None], self._start)
        self.restart(state)
        return changed

    def remove(self, symbols: int, state: State) -> None:
        """Removes the last symbols, which the session rolled back.

        Args:
            symbols: number of symbols to remove.
            state: state of the session after the rollback.
        """
        kept = len(self._ids) - symbols
        self._ids = self._ids[: max(0, kept)]
        if kept < 0:  # the block that they belong to was learned, and its first state is lost
            self.restart(state)

    def restart(self, state: State) -> None:
        """Drops the symbols of the block, and begins a new block at this state."""
        self._start, self._ids = state, ()

    def copy(self) -> "BlockLearner":
        """Returns an independent learner at the same position."""
        twin = BlockLearner(self.adapter.copy(), self._start)
        twin._ids = self._ids
        return twin
