from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.data.symbols import SymbolFile
from onward.errors import CorpusError

SYMBOLS = 300
IDS = np.arange(SYMBOLS, dtype=np.uint16)
PLACES = st.none() | st.integers(-400, 400)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> SymbolFile:
    path = tmp_path_factory.mktemp("symbols") / "ids"
    path.write_bytes(IDS.tobytes())
    return SymbolFile(path, IDS.dtype, SYMBOLS)


def test_a_file_equals_the_array(stored: SymbolFile) -> None:
    assert len(stored) == 300
    assert np.asarray(stored).dtype == np.uint16
    assert np.array_equal(np.asarray(stored), IDS)
    assert np.asarray(stored, dtype=np.int64).dtype == np.int64


@given(first=PLACES, last=PLACES, start=PLACES, stop=PLACES)
def test_slices_of_slices_equal_those_of_the_array(
    stored: SymbolFile, first: int | None, last: int | None, start: int | None, stop: int | None
) -> None:
    assert np.array_equal(np.asarray(stored[first:last][start:stop]), IDS[first:last][start:stop])
    assert len(stored[first:last]) == len(IDS[first:last])


def test_a_slice_with_a_step_is_refused(stored: SymbolFile) -> None:
    with pytest.raises(ValueError, match="step of 1"):
        stored[::2]


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes(IDS.tobytes())
    stored = SymbolFile(path, IDS.dtype, SYMBOLS)
    path.write_bytes(IDS[:100].tobytes())
    with pytest.raises(CorpusError, match="shorter than expected") as caught:
        np.asarray(stored[90:110])
    assert caught.value.hint


def test_an_id_beyond_the_vocabulary_is_refused(stored: SymbolFile) -> None:
    """No table of a model has a row for it."""
    damaged = SymbolFile(stored.path, IDS.dtype, SYMBOLS - 1)
    assert len(np.asarray(damaged[:299])) == 299
    with pytest.raises(CorpusError, match=r"expected ids below 299 in .*, found 299") as caught:
        np.asarray(damaged[290:])
    assert "delete the file" in caught.value.hint


def test_a_file_that_another_run_deleted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*ids: No such file") as caught:
        SymbolFile(tmp_path / "ids", IDS.dtype, SYMBOLS)
    assert "try again" in caught.value.hint
