"""Runs that begin with the weights of a base."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import onward
from onward.artefact import Artefact, save
from onward.data.encoded import Encoding, encode_text
from onward.errors import ArtefactError, Interrupted, RecipeError
from onward.inference.trained_model import TrainedModel
from onward.training.base import Base, choose_base
from onward.training.events import BaseChosen, Stepped
from onward.training.recipe import find_recipe

TEXT = "the state goes on where the lane ended, and the lane goes on where the state is.\n" * 40
SMALL: dict[str, Any] = {"recipe": "tiny", "width": 16, "precision": "fp32"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned `TEXT`."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "text.txt").write_text(TEXT)
    path = folder / "small.onward"
    onward.train(folder / "text.txt", output=path, steps=60, **SMALL)
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_text("the caf\u00e9 where the state is \u2014 the lane\u2019s end.\n" * 40)
    return path


def first_loss(*sources: Path, **options: Any) -> float:
    """Returns the loss of the first block of a run, which is that of the weights it begins with."""
    found: list[float] = []

    def observe(event: object) -> None:
        if isinstance(event, Stepped):
            found.append(event.nats_per_symbol)

    onward.train(*sources, steps=1, observer=observe, **options)
    return found[0]


def test_a_run_begins_with_the_weights_of_its_base(base: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.txt"
    same.write_text(TEXT)
    expected = onward.load(base).score(TEXT).nats_per_symbol
    assert first_loss(same, base=base, lanes=1) == pytest.approx(expected, abs=0.5)
    assert first_loss(same, base="none", **SMALL) > 2.5


def test_the_vocabulary_is_that_of_the_text_and_then_that_of_the_base(base: Path, text: Path) -> None:
    model = onward.train(text, base=base, steps=1)
    own, before = set(text.read_text()), set(onward.load(base).vocabulary.symbols)
    assert set(model.vocabulary.symbols) == own | before
    assert model.vocabulary.symbols[: len(own)] == tuple(sorted(own))


def test_a_new_symbol_begins_as_one_that_looks_alike(base: Path, text: Path) -> None:
    corpus = encode_text(text.read_text(), Encoding())
    begun = Base.load(str(base))
    extended = begun.extend(corpus)
    model = onward.model.LanguageModel(begun.recipe(find_recipe(), {}).model_config(len(extended.vocabulary)))
    begun.copy_weights(model, extended.vocabulary)
    rows = dict(zip(extended.vocabulary.symbols, model.embedding.weight[4:], strict=True))
    assert torch.equal(rows["\u00e9"], rows["e"])
    assert not torch.equal(rows["f"], rows["e"])
    unknown = model.embedding.weight[1]
    assert torch.equal(rows["\u2019"], unknown)  # the base has no apostrophe either


def test_the_ids_of_the_text_stay_when_the_vocabulary_grows(base: Path, text: Path) -> None:
    corpus = encode_text(text.read_text(), Encoding())
    extended = Base.load(str(base)).extend(corpus)
    assert np.array_equal(np.asarray(extended.ids), np.asarray(corpus.ids))
    assert extended.vocabulary.decode(np.asarray(extended.ids)) == text.read_text()
    assert len(extended.counts) == len(extended.vocabulary)


def test_a_lower_cased_text_gets_no_capital_from_its_base(tmp_path: Path, text: Path) -> None:
    (tmp_path / "upper.txt").write_text(TEXT.upper())
    upper = onward.train(tmp_path / "upper.txt", steps=1, output=tmp_path / "upper.onward", **SMALL)
    assert "T" in upper.vocabulary.symbols
    model = onward.train(text, base=tmp_path / "upper.onward", lower=True, steps=1)
    assert model.vocabulary.lower
    assert not any(symbol.isupper() for symbol in model.vocabulary.symbols)


def test_the_architecture_is_that_of_the_base(base: Path, text: Path) -> None:
    model = onward.train(text, base=base, steps=1)
    assert (model.model.config.width, model.model.config.layers) == (16, 2)
    with pytest.raises(RecipeError, match=r"expected width 16, as in the base .*small\.onward, got 32"):
        onward.train(text, base=base, steps=1, width=32)
    with pytest.raises(RecipeError, match=r"expected width 16, as in the base .*, got 64"):
        onward.train(text, base=base, steps=1, recipe="tiny")
    with pytest.raises(RecipeError, match="expected symbols 'characters'"):
        onward.train(text, base=base, steps=1, symbols="words")


def test_a_resumed_run_ends_with_the_same_bytes(
    base: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole.onward"
    onward.train(text, base=base, steps=6, output=whole, precision="fp32")

    def stop(event: object) -> None:
        if isinstance(event, Stepped) and event.step == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("onward.training.checkpointer.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    part = tmp_path / "part.onward"
    with pytest.raises(Interrupted):
        onward.train(text, base=base, steps=6, output=part, precision="fp32", observer=stop)
    with pytest.raises(ArtefactError, match="not 'none'"):
        onward.train(text, base="none", output=part, resume=True)
    events: list[object] = []
    onward.train(text, output=part, resume=True, observer=events.append)
    assert part.read_bytes() == whole.read_bytes()
    assert not any(isinstance(event, BaseChosen) for event in events)  # it was announced at the start


def test_the_model_names_its_base_without_folders(base: Path, text: Path) -> None:
    model = onward.train(text, base=base, steps=1)
    facts = model.info()["facts"]["base"]
    assert facts == {"name": "small.onward", "sha256": Base.load(str(base)).digest}
    assert model.info()["recipe"]["base"] == "small.onward"
    assert onward.train(text, base="none", steps=1, **SMALL).info()["facts"]["base"] is None


def test_a_vocabulary_of_frequent_symbols_stays_without_those_of_the_base(base: Path, text: Path) -> None:
    symbols = onward.train(text, base="none", steps=1, min_count=20, **SMALL).artefact.vocabulary.symbols
    model = onward.train(text, base=base, steps=1, min_count=20)
    assert model.artefact.vocabulary.symbols == symbols


def test_a_base_that_is_missing_is_an_error(text: Path) -> None:
    with pytest.raises(ArtefactError, match=r"nowhere\.onward"):
        onward.train(text, base="nowhere.onward", steps=1)


CODE = "def total(items):\n    return sum(item.price for item in items if item is not None)\n\n\n"


class TestBundled:
    """The base models that come with onward."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [("english", "The committee will meet on Tuesday to discuss the report."), ("python", CODE)],
    )
    def test_they_are_loaded_by_name(self, name: str, text: str) -> None:
        assert onward.load(name).score(text).nats_per_symbol < 1.9

    def test_a_file_of_that_name_comes_first(
        self, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("english").write_bytes(base.read_bytes())
        assert onward.load("english").model.config.width == 16

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("We have read your letter, and shall answer all of your questions next week. ", "english"),
            (CODE, "python"),
        ],
    )
    def test_a_text_begins_with_the_base_that_suits_it(self, text: str, name: str) -> None:
        choice = choose_base(encode_text(text * 20, Encoding()), find_recipe(), {})
        assert choice
        assert choice.base.name == name

    @pytest.mark.parametrize("given", [{"recipe": "tiny"}, {"width": 32}, {"symbols": "bytes"}])
    def test_it_is_not_considered_for_another_model(self, text: Path, given: dict[str, Any]) -> None:
        events: list[object] = []
        onward.train(text, steps=1, observer=events.append, **given)
        assert not any(isinstance(event, BaseChosen) for event in events)


def test_weights_in_bfloat16_take_half_and_are_read_as_float32(base: Path, tmp_path: Path) -> None:
    artefact = onward.load(base).artefact
    half = tmp_path / "half.onward"
    save(Artefact(artefact.model, artefact.vocabulary), half, dtype=torch.bfloat16)
    assert half.stat().st_size < 0.6 * base.stat().st_size
    read = TrainedModel.load(half)
    for name, weight in read.model.state_dict().items():
        before = artefact.model.state_dict()[name]
        assert weight.dtype == torch.float32
        assert torch.equal(weight, before.bfloat16().float())
