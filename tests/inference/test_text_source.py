import tempfile
from pathlib import Path

import numpy as np
import pytest

from onward.data.vocabulary import Vocabulary
from onward.errors import CorpusError, VocabularyError
from onward.inference.text_source import ids_of, open_source


def test_files_are_encoded_to_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = tmp_path / "text"
    source.write_bytes(b"ab\r\nc\xffd")
    vocabulary = Vocabulary.of_text("abcd\n", "characters")
    with open_source(source, vocabulary) as text:
        assert not isinstance(text.ids, np.ndarray)
        assert np.asarray(text.ids[:]).tolist() == vocabulary.encode(b"ab\r\nc\xffd").tolist()
        assert [tuple(line) for line in text.lines()] == [("ab", 4), ("c\ufffdd", 3)]
        assert len([*tmp_path.iterdir()]) > 1
    assert [*tmp_path.iterdir()] == [source]


def test_the_temporary_file_is_removed_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "text").write_text("ab")
    with pytest.raises(KeyError), open_source(tmp_path / "text", Vocabulary.of_bytes()):
        raise KeyError
    assert len([*tmp_path.iterdir()]) == 1


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError), open_source(tmp_path, Vocabulary.of_bytes()):
        pass


@pytest.mark.parametrize(
    "wrong", [np.array(None), np.array("text"), np.array(["a", "b"]), np.array(3)], ids=repr
)
def test_values_that_are_neither_text_nor_ids_are_refused(wrong: np.ndarray) -> None:
    vocabulary = Vocabulary.of_text("abc", "characters")
    with pytest.raises(
        VocabularyError, match="expected a text, bytes, or a row of ids from 0 to 6, got ndarray"
    ):
        ids_of(wrong, vocabulary)
