"""Where words end: combining marks belong to them, and in scripts without spaces they end in doubt."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import onward
from onward.data.vocabulary import END, Vocabulary
from onward.inference.completion.boundaries import Boundary, Prefix, boundary_of
from onward.inference.trained_model import TrainedModel

WHO = ("\u6211\u4eec", "\u670b\u53cb", "\u533b\u751f")
WHEN = ("\u6628\u5929", "\u6bcf\u5929\u665a\u4e0a", "\u660e\u5929\u4e0b\u5348")
WHERE = ("\u56fe\u4e66\u9986", "\u706b\u8f66\u7ad9", "\u516c\u56ed\u91cc")
HINDI = "\u0939\u093f\u0928\u094d\u0926\u0940"
FAMILY = "\U0001f469\u200d\U0001f467"


def chinese() -> Iterator[str]:
    choice = random.Random(1).choice
    for _ in range(1500):
        yield f"{choice(WHO)}{choice(WHEN)}\u5728{choice(WHERE)}\u3002\n"


@pytest.fixture(scope="module", params=["characters", "bytes"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    text: Path = tmp_path_factory.mktemp("chinese") / "text.txt"
    text.write_text("".join(chinese()), encoding="utf-8")
    return onward.train(text, recipe="tiny", steps=250, symbols=request.param, precision="fp32")


@pytest.mark.slow
def test_a_word_without_spaces_ends_where_the_next_character_is_not_certain(trained: TrainedModel) -> None:
    found = {one.text: one.probability for one in trained.complete("\u6211\u4eec", memory=0, n=3)}
    assert {text.removesuffix("\u5728") for text in found} == set(WHEN)
    assert sum(found.values()) == pytest.approx(1.0, abs=0.1)
    places = {one.text for one in trained.complete("\u6211\u4eec\u6628\u5929\u5728", memory=0, n=3)}
    assert places == set(WHERE)


@pytest.mark.parametrize("prime", ["\u6211\u4eec", "\u533b\u751f\u6bcf\u5929", "\u6628\u5929\u5728"])
@pytest.mark.slow
def test_its_probability_is_that_of_its_characters(trained: TrainedModel, prime: str) -> None:
    found = trained.complete(prime, memory=0, n=5)
    assert found.exact
    assert found
    for one in found:
        session = trained.session(memory=0)
        session.feed(prime)
        expected = float(np.exp(-session.feed(one.text).sum()))
        following = {character: chance(session.fork(), character) for character in set("".join(chinese()))}
        if max(following.values()) >= 0.5:  # a full stop or END ended the word
            expected *= following["\u3002"] + following["\n"] + session.next_distribution().probabilities[END]
        assert one.probability == pytest.approx(expected, rel=0.02)


def chance(session: onward.Session, character: str) -> float:
    return float(np.exp(-session.feed(character).sum()))


VOCABULARIES = [Vocabulary.of_text(f"ae\u0301t{HINDI}\u0902{FAMILY}", "characters"), Vocabulary.of_bytes()]


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=["characters", "bytes"])
@pytest.mark.parametrize("word", [HINDI, "e\u0301te\u0301", "\u093f\u0902"], ids=ascii)
def test_marks_belong_to_words(vocabulary: Vocabulary, word: str) -> None:
    # the last word is the rest of one that began before the completion
    prefix, ended = fed(boundary_of(vocabulary, "word"), vocabulary.encode(word).tolist())
    assert (prefix.text, prefix.has_word, ended) == (word, True, False)


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=["characters", "bytes"])
def test_joiners_make_no_word_of_pictures(vocabulary: Vocabulary) -> None:
    boundary = boundary_of(vocabulary, "word")
    prefix, ended = fed(boundary, vocabulary.encode(FAMILY).tolist())
    assert (prefix.text, prefix.has_word, ended) == (FAMILY, False, False)
    prefix, ended = fed(boundary, vocabulary.encode(f"a{FAMILY}").tolist())
    assert (prefix.text, prefix.has_word, ended) == ("a", True, True)


def fed(boundary: Boundary, symbols: list[int]) -> tuple[Prefix, bool]:
    """Returns the prefix of the symbols, and whether it ended before the last of them."""
    prefix = Prefix()
    for symbol in symbols:
        if boundary.endings(prefix)[symbol] or not boundary.extensions(prefix)[symbol]:
            return prefix, True
        prefix, ended = boundary.extended(prefix, symbol)
        if ended:
            return prefix, True
    return prefix, False
