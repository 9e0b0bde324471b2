"""Small models with random weights."""

from collections.abc import Callable

import pytest
import torch
from tests.inference.models import SYMBOLS

from onward.artefact import Artefact
from onward.data.vocabulary import Vocabulary
from onward.inference.trained_model import TrainedModel
from onward.model import LanguageModel, ModelConfig

ALPHABET = "abcdefgh .,\n"
Maker = Callable[..., TrainedModel]


@pytest.fixture(scope="session")
def make() -> Maker:
    def make(vocabulary: Vocabulary | None = None, layer: str = "gated", seed: int = 0) -> TrainedModel:
        vocabulary = vocabulary or Vocabulary.of_text(ALPHABET, "characters")
        torch.manual_seed(seed)
        config = ModelConfig(symbols=len(vocabulary), layer=layer, width=12, layers=2)  # type: ignore[arg-type]
        model = LanguageModel(config)
        with torch.no_grad():
            model.readout.weight.mul_(4)  # sharper predictions show mistakes
        return TrainedModel(Artefact(model.eval(), vocabulary, {"name": "test"}, {"steps": 0}))

    return make


@pytest.fixture(scope="session")
def trained(make: Maker) -> TrainedModel:
    return make()


@pytest.fixture
def default() -> LanguageModel:
    """The default layers, small."""
    torch.manual_seed(3)
    return LanguageModel(ModelConfig(symbols=SYMBOLS, width=32, layers=2)).eval()
