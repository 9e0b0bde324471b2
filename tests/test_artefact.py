import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.artefacts import Change, config, forge, header_of, rewrite, small

from onward import artefact as module
from onward.artefact import FORMAT, Artefact, load, save
from onward.data.vocabulary import Vocabulary
from onward.errors import ArtefactError, WriteError
from onward.model import LanguageModel, LayerKind, ModelConfig

GOLDEN = Path(__file__).parent / "golden" / "format_1.onward"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.onward"
    save(small(), path)
    return path


@pytest.mark.parametrize("config", [{}, {"tied": True}, {"feed_forward": 0.0}, {"dropout": 0.1}])
@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_loading_returns_the_saved_artefact(tmp_path: Path, layer: LayerKind, config: dict[str, Any]) -> None:
    saved = small(layer, **config)
    save(saved, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert (loaded.vocabulary, loaded.recipe, loaded.facts) == (saved.vocabulary, saved.recipe, saved.facts)
    assert loaded.model.config == saved.model.config
    assert not loaded.model.training
    weights = loaded.model.state_dict()
    assert list(weights) == list(saved.model.state_dict())
    assert all(torch.equal(weight, weights[name]) for name, weight in saved.model.state_dict().items())
    assert all(weight.requires_grad for weight in loaded.model.parameters())
    ids = torch.tensor([[2], [4], [5]])
    state = saved.model.initial_state(1)
    assert torch.equal(loaded.model(ids, state)[0], saved.model(ids, state)[0])
    if saved.model.config.tied:
        assert loaded.model.readout.weight is loaded.model.embedding.weight


def test_the_same_artefact_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    other = small()
    reordered = Artefact(
        other.model,
        other.vocabulary,
        dict(reversed(other.recipe.items())),
        dict(reversed(other.facts.items())),
    )
    save(reordered, tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == file.read_bytes()
    save(load(file), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary.of_text("ab", "characters"),
        Vocabulary.of_bytes(),
        Vocabulary("words", [f"w{i}" for i in range(500)]),
        Vocabulary("words", [f"w{i}" for i in range(70_000)]),
    ],
    ids=["characters", "bytes", "words", "many words"],
)
def test_a_remembered_text_is_saved_compressed(tmp_path: Path, vocabulary: Vocabulary) -> None:
    model = LanguageModel(ModelConfig(symbols=len(vocabulary), width=4, layers=1))
    text = np.resize(np.append(np.arange(4), len(vocabulary) - 1), 10_000)
    save(Artefact(model, vocabulary), tmp_path / "without")
    save(Artefact(model, vocabulary, remembered=text), tmp_path / "with")
    np.testing.assert_array_equal(load(tmp_path / "with").remembered, text)
    assert load(tmp_path / "without").remembered is None
    grown = (tmp_path / "with").stat().st_size - (tmp_path / "without").stat().st_size
    assert 0 < grown < 1000


def test_golden_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This file defines format 1. Other bytes would be a new format, which needs a new number."""
    monkeypatch.setattr(module, "version", lambda _: "0.1.0")
    save(small(), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == GOLDEN.read_bytes()
    assert list(header_of(GOLDEN)) == sorted(header_of(GOLDEN))
    assert header_of(GOLDEN)["format"] == FORMAT == 1
    loaded = load(GOLDEN)
    assert loaded.vocabulary.symbols == ("\n", "a", "b", "\u4e2d", "\U0001f600")
    assert loaded.model.readout.bias.tolist() == small().model.readout.bias.tolist()


def test_a_full_disk_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        save(small("lstm"), file)
    assert file.read_bytes() == before
    assert [*file.parent.iterdir()] == [file]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_save_and_load_refuse_infinite_and_nan_weights(file: Path, value: float) -> None:
    broken = small()
    with torch.no_grad():
        broken.model.readout.bias[0] = value
    with pytest.raises(ArtefactError, match=r"expected finite numbers in tensor readout.bias of the model"):
        save(broken, file)
    weights = load_file(file) | {"readout.bias": broken.model.readout.bias.detach()}
    rewrite(file, weights=weights, change=lambda header: header.update(sha256=module.digest_of(weights)))
    with pytest.raises(ArtefactError, match=r"expected finite numbers in tensor readout.bias of "):
        load(file)


@pytest.mark.parametrize("layer", ["gated", "lstm", "gru", "simple"])
def test_weights_with_which_the_model_could_overflow_are_refused(tmp_path: Path, layer: LayerKind) -> None:
    """Finite weights may be so large that a text gives infinite or NaN results."""
    artefact, file = small(layer), tmp_path / "m"
    for name, weight in artefact.model.named_parameters():
        with torch.no_grad():
            kept = weight.clone()
            save(artefact, file)
            weight.fill_(3e38)
            forge(file, weights=load_file(file) | {name: weight.detach()})
            with pytest.raises(ArtefactError, match="so small that no value can become infinite") as refused:
                load(file)
            assert "lower learning rate" in refused.value.hint
            with pytest.raises(ArtefactError, match="so small that no value can become infinite"):
                save(artefact, file)
            weight.copy_(kept)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, [-float("inf")]]])
@pytest.mark.parametrize("field", ["recipe", "facts"])
def test_numbers_of_the_header_must_be_finite(file: Path, field: str, value: Any) -> None:
    forge(file, lambda header: header[field].update(rate=value))
    with pytest.raises(ArtefactError, match=r"header of .* is damaged: expected finite numbers"):
        load(file)
    artefact = small()
    getattr(artefact, field)["rate"] = value
    with pytest.raises(ArtefactError, match="expected finite numbers in the recipe"):
        save(artefact, file)


def test_weights_of_another_type_are_not_saved(tmp_path: Path) -> None:
    double = small()
    with pytest.raises(ArtefactError, match=r"float32 or bfloat16, found torch\.float64"):
        save(Artefact(double.model.double(), double.vocabulary), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_header_too_long_to_load_is_not_saved(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, header = file.read_bytes(), int.from_bytes(file.read_bytes()[:8], "little")
    monkeypatch.setattr(module, "LONGEST_HEADER", header)
    save(load(file), file)
    monkeypatch.setattr(module, "LONGEST_HEADER", header - 1)
    with pytest.raises(ArtefactError, match=f"got one of {header} bytes") as caught:
        save(small(), file)
    assert "--min-count" in caught.value.hint
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(format=2), "has format 2, expected 1"),
        (lambda h: h.update(format=True), "has format True, expected 1"),
        (lambda h: h.update(format="1"), "has format 1, expected 1"),
        (lambda h: h.pop("format"), "has format None"),
        (lambda h: h.pop("facts"), "header of .* is damaged: facts: Field required, found nothing"),
        (
            lambda h: h.update(more=1),
            "header of .* is damaged: more: Extra inputs are not permitted, found 1",
        ),
        (lambda h: h.update(facts=[]), r"facts: Input should be a valid dictionary, found \[\]"),
        (lambda h: h["config"].pop("width"), "cannot build the model"),
        (config(width=8), r"tensor \S+ of .* expected \(.*8.*\) in F32 or BF16, found \("),
        (config(width=65536, inner=64.0), "does not fit its configuration: expected"),
        (config(inner=float("nan")), "inner must be a number"),
        (config(layers=2), "missing"),
        (config(layers=1024), "at least 1024 tensors in .* for its 1024 layers, found 12"),
        (config(layers=10**30), "layers must be a whole number"),
        (config(symbols=2**31), "expected .*2147483648"),
        (config(symbols=10), "does not fit its configuration: expected"),
        (config(layer="lstm"), "missing"),
        (config(tied=True), "unexpected"),
        (lambda h: h.update(vocabulary=None), "vocabulary: Input should be a valid dictionary"),
        (lambda h: h["vocabulary"]["symbols"].pop(), "vocabulary of 8 symbols, but a model for 9 symbols"),
        (lambda h: h["vocabulary"].update(symbols=["a"] * 5), "distinct"),
        (lambda h: h["vocabulary"].update(kind="bytes", symbols=None), "vocabulary of 259 symbols"),
        (lambda h: h.update(sha256="0" * 64), "sha256 differs"),
        (lambda h: h.update(sha256=None), "sha256: Input should be a valid string"),
        (lambda h: h.update(recipe={"name": "other"}), "header of .* is damaged: its sha256 differs"),
        (lambda h: h["vocabulary"].update(lower=True), "header of .* is damaged: its sha256 differs"),
        (lambda h: h.update(header_sha256="0" * 64), "header of .* is damaged: its sha256 differs"),
    ],
)
def test_a_wrong_header_is_refused_with_the_reason(file: Path, change: Change, message: str) -> None:
    rewrite(file, change)
    with pytest.raises(ArtefactError, match=message) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert caught.value.hint


WITHOUT_TYPE_CHECKS = """
import sys
from onward.artefact import load
from onward.errors import ArtefactError
for path in sys.argv[1:]:
    try:
        load(path)
    except ArtefactError as error:
        print(error)
"""


def test_values_of_a_wrong_type_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Runs in another process, where annotations are not checked at run time."""
    changes: dict[str, Change] = {
        "config: Input should be a valid dictionary": lambda header: header.update(config=None),
        "width must be a whole number from 1 to 65536, got '4'": config(width="4"),
        "width must be a whole number from 1 to 65536, got True": config(width=True),
        "layer must be gated": config(layer="__import__('os')"),
        "inner * width must be at least 1, got 0.001 * 4": config(inner=0.001),
        "width must be a whole number from 1 to 65536, got 'xxxx": config(width="x" * 10**6),
        "layer must be gated, lstm, gru or simple, got ['gated']": config(layer=["gated"]),
        "expected a kind of symbol": lambda header: header["vocabulary"].update(kind=["words"]),
    }
    paths = [tmp_path / str(number) for number in range(len(changes))]
    for path, change in zip(paths, changes.values(), strict=True):
        save(small(), path)
        rewrite(path, change)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TYPE_CHECKS, *paths], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for path, message, found in zip(paths, changes, done.stdout.splitlines(), strict=True):
        assert str(path) in found
        assert message in found
        assert len(found) < 1000


def test_a_later_format_gives_the_hint_to_update(file: Path) -> None:
    rewrite(file, lambda header: header.update(format=2, surprise="new"))
    with pytest.raises(ArtefactError) as caught:
        load(file)
    assert caught.value.hint == "update onward"


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (
            torch.zeros(9, dtype=torch.float16),
            r"readout.bias .*\(9,\) in F32 or BF16, found \(9,\) in F16",
        ),
        (torch.zeros(9, dtype=torch.int64), r"found \(9,\) in I64"),
        (torch.zeros(10), r"found \(10,\) in F32"),
        (torch.zeros(9, 1), r"found \(9, 1\) in F32"),
        (torch.zeros(0), r"found \(0,\) in F32"),
        (torch.zeros(9), "sha256 differs"),
    ],
)
def test_a_tensor_of_another_shape_or_type_is_named(file: Path, weight: torch.Tensor, message: str) -> None:
    rewrite(file, weights=load_file(file) | {"readout.bias": weight})
    with pytest.raises(ArtefactError, match=message):
        load(file)


def test_a_changed_byte_in_the_weights_is_detected(file: Path) -> None:
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    for at in (8 + length, len(content) - 1, (8 + length + len(content)) // 2):
        changed = bytearray(content)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ArtefactError, match="sha256 differs"):
            load(file)


def test_the_digest_depends_on_names_types_and_shapes() -> None:
    ones = torch.ones(4)
    digests = {
        module.digest_of(weights)
        for weights in (
            {"a": ones},
            {"b": ones},
            {"a": ones.view(2, 2)},
            {"a": torch.from_numpy(ones.numpy().view(np.int32))},
            {"a": ones, "b": ones},
        )
    }
    assert len(digests) == 5
