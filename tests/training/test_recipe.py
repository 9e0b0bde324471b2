import dataclasses
from typing import Any

import pytest

from onward.errors import RecipeError
from onward.model import LanguageModel, ModelConfig
from onward.training.recipe import RECIPES, Recipe, find_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_builds_its_model(name: str) -> None:
    recipe = find_recipe(name)
    config = recipe.model_config(80)
    assert recipe.name == name
    assert (config.symbols, config.layer, config.width) == (80, recipe.layer, recipe.width)
    assert LanguageModel(config).parameter_count() > 0


def test_each_field_of_the_model_is_a_hyperparameter() -> None:
    changed = {"layer": "gru", "width": 24, "layers": 5, "inner": 2.0, "feed_forward": 0.0}
    changed |= {"convolution": 2, "dropout": 0.3, "tied": True}
    assert find_recipe("tiny", changed).model_config(9) == ModelConfig(symbols=9, **changed)
    assert set(changed) == {field.name for field in dataclasses.fields(ModelConfig)} - {"symbols"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", -1e-3),
        ("rate", float("nan")),
        ("rate", "fast"),
        ("noise", 0.6),
        ("lanes", 0),
        ("lanes", 2.5),
        ("lanes", True),
        ("block", None),
        ("clip", 0.0),
        ("validation", 0.6),
        ("seed", -1),
        ("decay", "steps"),
        ("optimiser", "sgd"),
        ("precision", "fp16"),
        ("symbols", "letters"),
        ("lower", 1),
        ("width", 0),
        ("layer", "transformer"),
        ("dropout", 1.0),
        ("tied", "yes"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Any) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be .*got {value!r}"):
        find_recipe("default", {name: value})


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="'drop_out'") as error:
        find_recipe("default", {"drop_out": 0.1})
    assert error.value.hint == "did you mean dropout?"
    with pytest.raises(RecipeError, match="'defualt'") as error:
        find_recipe("defualt")
    assert "default" in error.value.hint


def test_the_name_is_not_a_hyperparameter() -> None:
    with pytest.raises(RecipeError, match="'name'"):
        find_recipe("default", {"name": "mine"})


def test_whole_numbers_and_floats_give_the_same_recipe() -> None:
    whole, real = (
        find_recipe(overrides={"rate": 1, "inner": 2}),
        find_recipe(overrides={"rate": 1.0, "inner": 2.0}),
    )
    assert str(whole.to_json()) == str(real.to_json())


def test_a_recipe_is_restored_from_plain_values() -> None:
    recipe = find_recipe("lstm", {"noise": 0.02, "seed": 4})
    assert Recipe(**recipe.to_json()) == recipe


def test_one_shard_is_left_out_of_files() -> None:
    """Files of runs with one shard have the same bytes as those of earlier versions."""
    assert "shards" not in find_recipe().to_json()
    assert find_recipe("tiny", {"shards": 4}).to_json()["shards"] == 4
