import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onward.errors import ArtefactError
from onward.inference.trained_model import TrainedModel


def test_a_saved_model_behaves_the_same(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "m.onward"
    trained.save(path)
    loaded = TrainedModel.load(path)
    assert loaded.vocabulary == trained.vocabulary
    assert loaded.score("abc dead\n") == trained.score("abc dead\n")
    assert loaded.write("a", length=50, seed=2) == trained.write("a", length=50, seed=2)
    again = tmp_path / "again.onward"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(ArtefactError):
        TrainedModel.load(tmp_path / "missing")


def test_info_has_all_facts(trained: TrainedModel, tmp_path: Path) -> None:
    assert trained.info()["file"] is None
    path = tmp_path / "m.onward"
    trained.save(path)
    info = TrainedModel.load(path).info()
    assert json.loads(json.dumps(info)) == info
    content = path.read_bytes()
    assert info["file"] == {
        "path": str(path),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert info["format"] == 1
    assert info["architecture"]["layer"] == "gated"
    assert info["parameters"] == sum(p.numel() for p in trained.model.parameters())
    assert info["vocabulary"]["size"] == len(info["vocabulary"]["symbols"]) == 16
    assert (info["recipe"], info["facts"]) == ({"name": "test"}, {"steps": 0})
    assert info["weights"]["sha256"] in content.decode("latin-1")


def test_sessions_are_independent_of_each_other_and_of_scoring(trained: TrainedModel) -> None:
    a, b = trained.session(), trained.session()
    a.feed("abc")
    trained.score("dead")
    trained.write("fed", length=5)
    np.testing.assert_array_equal(b.feed("abc"), trained.session().feed("abc"))


def test_each_memory_of_a_model_starts_with_the_remembered_text(trained: TrainedModel) -> None:
    text = "a bag of facade cafe, " * 20
    model = TrainedModel(replace(trained.artefact, remembered=trained.vocabulary.encode(text)))
    first = model.score(text, learn="memory")
    assert first.nats < 0.7 * trained.score(text, learn="memory").nats
    assert model.score(text, learn="memory") == first
    assert model.score(text, learn="none") == trained.score(text, learn="none")
    session, other = model.session(), model.session()
    expected = session.probabilities
    session.feed("dead " * 30)
    assert not np.array_equal(session.probabilities, expected)
    np.testing.assert_array_equal(other.probabilities, expected)
    session.rollback(150)
    np.testing.assert_allclose(session.probabilities, expected, rtol=1e-5)
    assert model.info()["remembered"] == {"symbols": len(text)}
    assert "remembered" not in trained.info()
