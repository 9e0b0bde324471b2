"""The language model against its oracle, over blocks and lanes, and the configurations that it refuses."""

import dataclasses
import json
import math
from functools import cache
from typing import Any, get_args

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.layers import oracle_model
from tests.layers.cases import PRECISE, as_arrays, close, scattered, states_close, weights_of

from onward.data.lanes import Lanes, as_stream
from onward.errors import RecipeError
from onward.layers.state import detach, map_state, tensors_of
from onward.model import LanguageModel, LayerKind, ModelConfig, losses

KINDS = get_args(LayerKind)
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def without_type_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns off the type checker of the tests, so that values of a wrong type reach the code."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def small(kind: LayerKind, **changes: Any) -> ModelConfig:
    return ModelConfig(**({"symbols": 7, "layer": kind, "width": 6, "layers": 2} | changes))


@cache
def model_of(kind: LayerKind, dtype: torch.dtype = torch.float64) -> LanguageModel:
    """Returns a small model with random weights."""
    torch.manual_seed(0)
    return scattered(LanguageModel(small(kind))).to(dtype).eval()


@pytest.mark.parametrize(
    "config",
    [
        *(small(kind) for kind in KINDS),
        small("gated", tied=True, layers=1),
        small("gated", feed_forward=0.0, convolution=1, inner=0.5),
        small("lstm", tied=True, width=1, layers=3),
    ],
    ids=lambda config: f"{config.layer} {config.layers} {'tied' if config.tied else ''}",
)
def test_logits_losses_and_gradients_equal_the_oracle(config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = scattered(LanguageModel(config)).double()
    feed_forward = config.layer == "gated" and config.feed_forward > 0
    other = oracle_model.LanguageModel(
        weights_of(model), config.layer, config.layers, feed_forward, config.tied
    )
    ids, targets = torch.randint(config.symbols, (2, 9, 3))
    state = map_state(lambda part: torch.randn_like(part).requires_grad_(), model.initial_state(3))

    logits, after = model(ids, state)
    expected, expected_after = other.forward(ids.numpy(), as_arrays(state))
    close(logits, expected, PRECISE[torch.float64])
    states_close(after, expected_after, PRECISE[torch.float64])

    nats = losses(logits, targets)
    expected_nats, dlogits = oracle_model.nats(expected, targets.numpy())
    close(nats, expected_nats, PRECISE[torch.float64])

    nats.sum().backward()
    dstate, gradients = other.backward(dlogits, map_state(np.zeros_like, expected_after))
    states_close(map_state(lambda part: part.grad, state), dstate, PRECISE[torch.float64])
    found = {name: weight.grad for name, weight in model.named_parameters()}
    assert found.keys() == gradients.keys()
    for name, gradient in found.items():
        close(gradient, gradients[name], PRECISE[torch.float64])


@every_kind
@settings(max_examples=12, deadline=None)
@given(
    ids=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    lanes=st.integers(1, 6),
    steps=st.integers(1, 12),
)
def test_loss_over_blocks_is_the_loss_in_one_pass(
    kind: LayerKind, ids: list[int], lanes: int, steps: int
) -> None:
    """Stateful training relies on this, for any corpus, B and T."""
    model, stream = model_of(kind), np.array(ids)
    blocks = Lanes(stream, lanes=lanes, steps=steps)
    nats, state = [], model.initial_state(blocks.lanes)
    for i in range(blocks.blocks_per_epoch):
        block = blocks.next()
        assert block.start == (i == 0)
        logits, state = model(block.x, detach(state))
        nats.append(losses(logits, block.y))
    found = torch.cat(nats)  # (L, B)

    x, y = as_stream(stream)
    for lane in range(blocks.lanes):
        part = slice(lane * len(found), (lane + 1) * len(found))
        logits, _ = model(x[part], model.initial_state(1))
        close(found[:, lane], losses(logits, y[part])[:, 0], PRECISE[torch.float64])


@every_kind
@pytest.mark.parametrize("dtype", PRECISE, ids=str)
def test_the_loss_of_a_stream_does_not_depend_on_other_lanes(kind: LayerKind, dtype: torch.dtype) -> None:
    model = model_of(kind, dtype)
    x, y = torch.randint(7, (2, 30, 1))
    alone = losses(model(x, model.initial_state(1))[0], y)
    for lanes in (2, 7, 33):
        others, targets = torch.randint(7, (2, 30, lanes))
        others[:, 1:2], targets[:, 1:2] = x, y
        nats = losses(model(others, model.initial_state(lanes))[0], targets)
        close(nats[:, 1:2], alone, PRECISE[dtype])


@every_kind
def test_a_prediction_does_not_depend_on_later_symbols(kind: LayerKind) -> None:
    model = model_of(kind)
    ids = torch.randint(7, (10, 2))
    logits, _ = model(ids, model.initial_state(2))
    changed = torch.cat([ids[:6], (ids[6:] + 1) % 7])
    others, _ = model(changed, model.initial_state(2))
    assert torch.equal(others[:6], logits[:6])
    assert not torch.equal(others[6], logits[6])


@every_kind
def test_no_gradient_flows_into_the_previous_block(kind: LayerKind) -> None:
    model = model_of(kind)
    x, y = torch.randint(7, (2, 8, 2))
    before = map_state(lambda part: part.requires_grad_(), model.initial_state(2))
    _, state = model(x[:4], before)
    nats = losses(model(x[4:], detach(state))[0], y[4:])
    parts = torch.autograd.grad(nats.sum(), list(tensors_of(before)), allow_unused=True)
    assert all(part is None for part in parts)
    whole = losses(model(x, before)[0], y)[4:]
    close(nats, whole, PRECISE[torch.float64])


@every_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_have_the_type_of_the_weights(kind: LayerKind, dtype: torch.dtype) -> None:
    model = model_of(kind, dtype)
    logits, _ = model(torch.randint(7, (3, 2)), model.initial_state(2))
    assert (logits.dtype, logits.shape) == (dtype, (3, 2, 7))


@every_kind
@torch.no_grad()
def test_the_loss_in_bfloat16_is_about_the_same(kind: LayerKind) -> None:
    model = model_of(kind, torch.float32)
    torch.manual_seed(1)
    x, y = torch.randint(7, (2, 40, 4))
    exact = losses(model(x, model.initial_state(4))[0], y)
    with torch.autocast("cpu", torch.bfloat16):
        logits, _ = model(x, model.initial_state(4))
    assert logits.dtype == torch.float32
    assert float(losses(logits, y).mean()) == pytest.approx(float(exact.mean()), rel=0.01)


@every_kind
@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_a_new_model_starts_near_the_uniform_loss(kind: LayerKind, tied: bool) -> None:
    torch.manual_seed(0)
    model = LanguageModel(ModelConfig(symbols=60, layer=kind, width=64, layers=2, tied=tied))
    x, y = torch.randint(60, (2, 50, 4))
    nats = losses(model(x, model.initial_state(4))[0], y)
    assert math.log(60) - 0.1 < float(nats.mean()) < math.log(60) + 0.6


@every_kind
def test_the_same_seed_gives_the_same_model(kind: LayerKind) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(LanguageModel(small(kind)).state_dict())
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())


def test_dropout_acts_only_in_training_and_repeats_with_the_seed() -> None:
    model = LanguageModel(small("gated", dropout=0.5))
    x, state, found = torch.randint(7, (9, 2)), model.initial_state(2), []
    for training, seed in ((False, 0), (False, 1), (True, 0), (True, 0), (True, 1)):
        torch.manual_seed(seed)
        found.append(model.train(training)(x, state)[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(found[2], found[3])
    assert not torch.equal(found[3], found[4])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (small("simple", layers=1), 7 * 6 + (2 * 36 + 12) + 6 + 6 + 7 * 6 + 7),
        (small("lstm", layers=1, tied=True), 7 * 6 + 4 * (2 * 36 + 12) + 6 + 6),
        (small("gru", layers=2), 7 * 6 + 2 * (3 * (2 * 36 + 12) + 6) + 6 + 7 * 6 + 7),
        (
            small("gated", layers=1, inner=1.5, feed_forward=2.0, convolution=4),
            7 * 6 + (4 * 6 + 6 * 27 + 27 + 9 * 6 + 6) + (6 * 24 + 12 * 6 + 6) + 6 + 7 * 6 + 7,
        ),
        (
            small("gated", layers=1, feed_forward=0.0),
            7 * 6 + (4 * 6 + 6 * 27 + 27 + 9 * 6 + 6) + 6 + 7 * 6 + 7,
        ),
    ],
    ids=lambda value: value.layer if isinstance(value, ModelConfig) else "",
)
def test_each_parameter_is_counted_once(config: ModelConfig, expected: int) -> None:
    assert LanguageModel(config).parameter_count() == expected


configs = st.builds(
    ModelConfig,
    symbols=st.integers(4, 2**31),
    layer=st.sampled_from(KINDS),
    width=st.integers(1, 65_536),
    layers=st.integers(1, 1_024),
    inner=st.floats(1.0, 64.0),
    feed_forward=st.just(0.0) | st.floats(1.0, 64.0),
    convolution=st.integers(1, 64),
    dropout=st.floats(0.0, 0.95),
    tied=st.booleans(),
)


@given(configs)
def test_a_configuration_survives_json(config: ModelConfig) -> None:
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("symbols", 3, "a whole number from 4 to 2147483648, got 3"),
        ("symbols", 10.0, "a whole number from 4"),
        ("symbols", True, "a whole number from 4"),
        ("symbols", None, "a whole number from 4"),
        ("symbols", 2**31 + 1, "a whole number from 4"),
        ("width", 0, "a whole number from 1 to 65536, got 0"),
        ("width", "256", "got '256'"),
        ("width", [256], "a whole number from 1"),
        ("layers", 0, "a whole number from 1 to 1024, got 0"),
        ("layers", 10**9, "a whole number from 1 to 1024"),
        ("inner", 0.0, "a number from 0.001 to 64, got 0.0"),
        ("inner", math.nan, "got nan"),
        ("inner", False, "got False"),
        ("inner", 0.01, r"inner \* width must be at least 1, got 0.01 \* 6"),
        ("feed_forward", -1.0, "a number from 0 to 64"),
        ("feed_forward", math.inf, "got inf"),
        ("feed_forward", 0.05, r"feed_forward \* width must be at least 1"),
        ("convolution", 0, "a whole number from 1 to 64, got 0"),
        ("dropout", 0.96, "a number from 0 to 0.95, got 0.96"),
        ("dropout", -0.1, "got -0.1"),
        ("layer", "transformer", "layer must be gated, lstm, gru or simple, got 'transformer'"),
        ("layer", ["gated"], "layer must be gated, lstm"),
        ("layer", None, "layer must be gated, lstm"),
        ("tied", 1, "tied must be true or false, got 1"),
    ],
)
@pytest.mark.usefixtures("without_type_checker")
def test_values_that_no_model_can_have_are_refused(field: str, value: Any, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        ModelConfig.from_json(small("gated").to_json() | {field: value})


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(ModelConfig)])
def test_a_missing_field_is_refused(field: str) -> None:
    data = small("gated").to_json()
    del data[field]
    with pytest.raises(RecipeError, match=f"with the fields .*{field}"):
        ModelConfig.from_json(data)


@pytest.mark.parametrize("data", [None, [], "gated", {}, small("gated").to_json() | {"heads": 8}], ids=str)
@pytest.mark.usefixtures("without_type_checker")
def test_other_data_than_a_configuration_is_refused(data: Any) -> None:
    with pytest.raises(RecipeError, match="expected a model configuration"):
        ModelConfig.from_json(data)


@pytest.mark.usefixtures("without_type_checker")
def test_whole_numbers_are_accepted_as_fractions() -> None:
    data = small("gated").to_json() | {"inner": 2, "feed_forward": 0, "dropout": 0}
    assert ModelConfig.from_json(data) == small("gated", inner=2.0, feed_forward=0.0, dropout=0.0)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(small("gated"), "width", 7)  # noqa: B010 - the type checker would refuse an assignment
