"""One model for each kind of layer."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from onward.layers.base import Layer
from onward.layers.gated_linear import GatedFeedForward, GatedLinear
from onward.layers.gru import GRU
from onward.layers.kernels import compiled
from onward.layers.lstm import LSTM
from onward.layers.norm import RMSNorm
from onward.layers.simple import SimpleRNN
from onward.layers.stack import Dropout, Residual, Stack
from onward.model import LanguageModel, ModelConfig

SYMBOLS = 19
needs_kernels = pytest.mark.skipif(not compiled.available, reason="the C kernels were not built here")


STACKS: dict[str, Callable[[], list[Layer]]] = {
    "GatedLinear": lambda: [GatedLinear(12, 17)],
    "GatedLinear without convolution": lambda: [GatedLinear(12, 17, convolution=1)],
    "GatedLinear with a convolution of two": lambda: [GatedLinear(12, 17, convolution=2)],
    "GatedFeedForward": lambda: [GatedFeedForward(12, 31)],
    "LSTM": lambda: [LSTM(12, 12)],
    "GRU": lambda: [GRU(12, 12)],
    "SimpleRNN, tanh": lambda: [SimpleRNN(12, 12)],
    "SimpleRNN, relu": lambda: [SimpleRNN(12, 12, activation="relu", initialisation="identity")],
    "RMSNorm": lambda: [RMSNorm(12)],
    "Dropout": lambda: [Dropout(12, 0.5)],
    "Residual": lambda: [Residual(LSTM(12, 12), norm=RMSNorm(12), dropout=0.1)],
    "Residual without a norm": lambda: [Residual(GRU(12, 12))],
    "a stack in a stack": lambda: [LSTM(12, 12), Stack([GRU(12, 12), Residual(GatedLinear(12, 5))])],
}


def model_of(name: str, seed: int = 0) -> LanguageModel:
    """Returns a model with the layers of that name, whose weights are large enough to move the gates."""
    torch.manual_seed(seed)
    model = LanguageModel(ModelConfig(symbols=SYMBOLS, width=12, layers=1))
    model.stack = Stack(STACKS[name]())
    nn.init.normal_(model.embedding.weight)
    return model.eval()
