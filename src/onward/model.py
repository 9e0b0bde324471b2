"""The language model: maps symbols and a state to logits of the next symbols and a new state."""

import math
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from onward.checks import checked_dataclass
from onward.errors import RecipeError
from onward.layers.base import Layer, bounded, largest_element, largest_product
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.linear import Linear
from onward.layers.lstm import LSTM
from onward.layers.norm import RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.layers.state import State
from onward.shapes import Ids, Logits

LayerKind = Literal["gated", "lstm", "gru", "simple"]

EMBEDDING_DEVIATION = 0.1
"""Standard deviation of a new embedding. torch's default of 1 learns more slowly (benchmarks/LOG.md)."""

_LONGEST_BLOCK, _POSITIONS, _LARGEST_LOGITS = 1 << 10, 1 << 12, 1 << 22
"""Limits of one forward pass without gradients: positions of a lane, positions of all lanes, and logits.

Longer passes are slower: their arrays no longer fit into the CPU's caches, and malloc returns large arrays to
the system each time (benchmarks/LOG.md).
"""


@checked_dataclass(RecipeError, kw_only=True)
class Architecture:
    """The hyperparameters of a model, apart from the size of its vocabulary.

    Attributes:
        layer: the recurrent layer.
        width: D, the number of values that a layer returns for each symbol.
        layers: the number of recurrent layers.
        inner: size of the state of a gated layer, as a multiple of the width.
        feed_forward: size of the feed-forward layer after each gated layer, as a multiple of the width; 0
            leaves it out.
        convolution: length of the convolution before a gated layer, in symbols.
        dropout: share of values set to zero in training, on the embedding and on each residual branch.
        tied: whether the readout uses the embedding's matrix (arXiv 1608.05859).
    """

    layer: LayerKind = "gated"
    width: Annotated[int, Field(ge=1, le=65_536)] = 256
    layers: Annotated[int, Field(ge=1, le=1_024)] = 3
    inner: Annotated[float, Field(ge=1e-3, le=64.0)] = 1.5
    feed_forward: Annotated[float, Field(ge=0.0, le=64.0)] = 2.0
    convolution: Annotated[int, Field(ge=1, le=64)] = 4
    dropout: Annotated[float, Field(ge=0.0, le=0.95)] = 0.0
    tied: bool = False

    @model_validator(mode="after")
    def _check_sizes(self) -> "Architecture":
        """Refuses multiples of the width that round to zero."""
        for name in ("inner", "feed_forward") if self.layer == "gated" else ():
            multiple = getattr(self, name)
            if multiple and not round(multiple * self.width):
                raise RecipeError(f"{name} * width must be at least 1, got {multiple} * {self.width}")
        return self


@checked_dataclass(RecipeError, kw_only=True)
class ModelConfig(Architecture):
    """Everything that determines the shapes of a `LanguageModel`: its architecture and vocabulary size.

    Attributes:
        symbols: V, the size of the vocabulary.
    """

    symbols: Annotated[int, Field(ge=4, le=2**31)]

    def to_json(self) -> dict[str, Any]:
        """Returns the configuration as plain values, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ModelConfig":
        """Returns the configuration from the values that `to_json` returned.

        Raises:
            RecipeError: a field is missing or unknown, or has a value that this version does not support.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != known:
            raise RecipeError(f"expected a model configuration with the fields {sorted(known)}, got {data!r}")
        return cls(**data)


class LanguageModel(nn.Module):
    """An embedding, a stack of recurrent layers, and a readout to logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        weight = torch.empty(config.symbols, config.width)
        self.embedding = nn.Embedding(config.symbols, config.width, _weight=weight)
        nn.init.uniform_(weight, -math.sqrt(3) * EMBEDDING_DEVIATION, math.sqrt(3) * EMBEDDING_DEVIATION)
        self.stack = Stack(_layers(config))
        self.readout = Linear(config.width, config.symbols, bias=not config.tied)
        if config.tied:
            self.readout.weight = self.embedding.weight

    def forward(self, ids: Ids, state: State) -> tuple[Logits, State]:
        """Returns the logits of the symbol after each position, (T, B, V), and the state after the last.

        The logits have the type of the weights; under autocast they are float32.

        Args:
            ids: symbols, (T, B).
            state: `initial_state(B)`, or the state that an earlier call returned.
        """
        x, state = self.stack(self.embedding(ids), state)  # (T, B, D)
        logits = self.readout(x)  # (T, B, V)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)), state

    def initial_state(self, lanes: int) -> State:
        """Returns the state before the first symbol, for B lanes."""
        return self.stack.initial_state(lanes)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.embedding.weight.device

    def can_overflow(self) -> bool:
        """Returns whether the weights are so large that some text could make a value infinite or NaN.

        The answer may be true although there is no such text, but only for weights that no training reaches.
        """
        largest = self.stack.largest_output(bounded(largest_element(self.embedding.weight)))
        return not math.isfinite(largest_product(self.readout.weight, self.readout.bias, largest))

    @torch.no_grad()
    def scale_logits(self, factor: float) -> None:
        """Multiplies all future logits by a factor: scales the final normalisation and the readout's bias."""
        norm = self.stack.layers[-1]
        assert isinstance(norm, RMSNorm)
        norm.scale.mul_(factor)
        if self.readout.bias is not None:
            self.readout.bias.mul_(factor)

    def parameter_count(self) -> int:
        """Returns the number of trained parameters; a tied matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _layers(config: ModelConfig) -> list[Layer]:
    """Returns the layers of the stack: dropout, residual branches, and a final normalisation."""
    width, dropout = config.width, config.dropout
    layers: list[Layer] = [Dropout(width, dropout)] if dropout else []
    recurrent: dict[str, Callable[[], Layer]] = {
        "gated": lambda: GatedLinear(width, round(config.inner * width), convolution=config.convolution),
        "lstm": lambda: LSTM(width, width),
        "gru": lambda: GRU(width, width),
        "simple": lambda: SimpleRNN(width, width),
    }
    for _ in range(config.layers):
        layers.append(Residual(recurrent[config.layer](), norm=RMSNorm(width), dropout=dropout))
        if config.layer == "gated" and config.feed_forward:
            inner = GatedFeedForward(width, round(config.feed_forward * width))
            layers.append(Residual(inner, norm=RMSNorm(width), dropout=dropout))
    return [*layers, RMSNorm(width)]


def losses(logits: Logits, targets: Ids) -> torch.Tensor:
    """Returns the surprise of each target in nats, (T, B).

    Args:
        logits: (T, B, V).
        targets: the symbols to predict, (T, B).
    """
    nats = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return nats.view_as(targets)


def block_length(lanes: int, symbols: int) -> int:
    """Returns T, the positions of each lane to compute in one forward pass.

    Args:
        lanes: B.
        symbols: V, the size of the vocabulary.
    """
    return max(1, min(_LONGEST_BLOCK, positions_at_once(symbols) // lanes))


def positions_at_once(symbols: int) -> int:
    """Returns T * B, the positions of all lanes to compute in one forward pass.

    The number is large enough for fast matrix products, and small enough that the logits of `symbols` symbols
    fit into memory.
    """
    return max(1, min(_POSITIONS, _LARGEST_LOGITS // symbols))
