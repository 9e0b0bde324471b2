import itertools

import numpy as np
import pytest
import torch
from tests.inference.conftest import Maker

from onward.artefact import Artefact
from onward.data.vocabulary import BEGIN, END, NULL, UNKNOWN, SymbolKind, Vocabulary
from onward.errors import InputError
from onward.inference.generate import Sample
from onward.inference.trained_model import TrainedModel, WriteKeywords

LAYERS = ("gated", "lstm", "gru", "simple")


def prefer(trained: TrainedModel, ids: list[int]) -> TrainedModel:
    """Returns the model with a strong bias towards some symbols."""
    model = trained.model
    with torch.no_grad():
        model.readout.bias[ids] += 50.0
    return trained


@pytest.mark.parametrize("layer", LAYERS)
def test_temperature_0_takes_the_likeliest_symbol_of_a_session(make: Maker, layer: str) -> None:
    trained = make(layer=layer)
    session, text = trained.session(memory=0), ""
    session.feed("bad ")
    for _ in range(30):
        chances = session.next_distribution().probabilities.copy()
        chances[[NULL, UNKNOWN, BEGIN, END]] = 0
        text += trained.vocabulary.decode([int(chances.argmax())])
        session.feed(text[-1])
    assert trained.write("bad ", length=30, temperature=0, ignore_end=True) == text


def test_a_sample_does_not_depend_on_the_number_of_samples(trained: TrainedModel) -> None:
    options = {"length": 60, "seed": 3, "ignore_end": True}
    alone = trained.write("abc", **options)
    assert len(alone) == 60
    assert alone == trained.write("abc", **options) == "".join(trained.stream("abc", **options))
    many = trained.samples("abc", 3, **options)
    assert many[0] == alone
    assert len(set(many)) == 3
    assert trained.write("abc", length=60, seed=4, ignore_end=True) != alone
    assert trained.write("abc", length=20, seed=3, ignore_end=True) == alone[:20]
    assert trained.write(length=0) == ""


def test_special_symbols_are_never_drawn(make: Maker) -> None:
    trained = prefer(make(), [NULL, UNKNOWN, BEGIN])
    text = trained.write(length=300, ignore_end=True)
    assert len(text) == 300
    assert not set(text) & {"\0", "\ufffd"}
    with pytest.raises(InputError, match="got only special symbols"):
        make(Vocabulary("characters", [])).write(ignore_end=True)


def test_a_drawn_end_ends_one_sample_only(make: Maker) -> None:
    trained = make(seed=4)
    writer = trained.writer("a", 8, length=40)
    texts = ["".join(parts) for parts in zip(*writer, strict=True)]
    assert set(writer.endings) == {"end", "length"}
    assert [len(text) for text in texts] == writer.symbols
    for text, ending in zip(texts, writer.endings, strict=True):
        assert (ending == "length") == (len(text) == 40)
    # each sample is as if it were written alone: a lane that ends does not affect the others
    ignored = trained.samples("a", 8, length=40, ignore_end=True)
    assert all(len(text) == 40 for text in ignored)
    never = prefer(make(), [END])
    assert never.write("abc", length=50) == ""
    assert len(never.write("abc", length=50, ignore_end=True)) == 50


def test_a_sample_is_the_same_when_others_end_earlier(make: Maker) -> None:
    trained = make(seed=4)
    together = trained.samples("a", 6, length=40, seed=5)
    assert len({len(text) for text in together}) > 1
    for stop in (2, 4):
        assert trained.samples("a", stop, length=40, seed=5) == together[:stop]


@pytest.mark.parametrize("kind", ["characters", "bytes", "words"])
def test_stop_strings_are_not_part_of_the_text(make: Maker, kind: SymbolKind) -> None:
    vocabulary = Vocabulary.of_bytes() if kind == "bytes" else Vocabulary.of_text("ab. é cd ef\n", kind)
    trained = make(vocabulary)
    whole = trained.write(length=80, ignore_end=True)
    for start, size in itertools.product((0, 1, 57), (1, 2, 5)):
        stop = whole[start : start + size]
        pieces = [*trained.stream(length=80, ignore_end=True, stop=stop)]
        assert "".join(pieces) == whole[: whole.find(stop)]
        writer = trained.writer(length=80, ignore_end=True, stop=(stop, "\0"))
        assert [piece for (piece,) in writer] == pieces
        assert writer.endings == ["stop"]
        if kind == "characters":
            assert writer.symbols == [whole.find(stop)]
    kept = trained.write(
        length=80, ignore_end=True, stop=whole[-3:] + "!"
    )  # only the beginning of the stop string occurs
    assert kept == whole


def fed(text: str, *stop: str) -> tuple[list[str], Sample]:
    vocabulary = Vocabulary.of_text("abcdefgh", "characters")
    sample = Sample(vocabulary, stop)
    return [sample.feed([i]) for i in vocabulary.encode(text).tolist()] + [sample.end("length")], sample


def test_the_beginning_of_a_stop_string_is_held_back() -> None:
    assert fed("aababc", "abc")[0] == ["", "a", "", "ab", "", "", ""]
    assert fed("abab", "abc", "bd")[0] == ["", "", "ab", "", "ab"]
    assert fed("ab", "abc")[0] == ["", "", "ab"]
    pieces, sample = fed("ab", "ab")
    assert (pieces, sample.ending, sample.symbols) == (["", "", ""], "stop", 0)


def test_characters_of_several_bytes_are_not_split(make: Maker) -> None:
    trained = prefer(make(Vocabulary.of_bytes()), Vocabulary.of_bytes().encode("\u00e9\u4e2d").tolist())
    pieces = [*trained.stream(length=120, ignore_end=True)]
    assert all(pieces)
    ids = [trained.vocabulary.encode(piece) for piece in pieces if "\ufffd" not in piece]
    assert any(len(part) > 1 for part in ids)


def test_wrong_options_are_refused(trained: TrainedModel) -> None:
    wrong: list[WriteKeywords] = [{"length": -1}, {"seed": -1}, {"stop": ("a", "")}, {"temperature": -1.0}]
    for options in wrong:
        with pytest.raises(InputError):
            trained.write(**options)
    with pytest.raises(InputError, match="1 sample"):
        trained.writer(samples=0)
    with pytest.raises(TypeError):
        trained.write(temprature=1.0)  # type: ignore[call-arg]


def test_the_prime_may_be_long_or_have_unknown_symbols(trained: TrainedModel) -> None:
    prime = "ab\0\u4e2d\r\n" * 500
    session = trained.session(memory=0)
    session.feed(prime)
    chances = session.next_distribution().probabilities.copy()
    chances[: END + 1] = 0
    wanted = trained.vocabulary.decode(np.array([chances.argmax()]))
    assert trained.write(prime, length=1, temperature=0, ignore_end=True) == wanted


def test_a_model_in_training_mode_writes_in_evaluation_mode(make: Maker) -> None:
    trained = make()
    text = trained.write(length=20)
    other = TrainedModel(Artefact(trained.model.train(), trained.vocabulary))
    assert other.write(length=20) == text
