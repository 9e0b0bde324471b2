import numpy as np
import pytest

from onward.data.vocabulary import Vocabulary
from onward.errors import InputError
from onward.inference.distribution import Distribution


def test_likeliest_symbols_come_first_and_equal_ones_in_id_order() -> None:
    distribution = Distribution(np.array([0.1, 0.2, 0, 0, 0.2, 0.5]), Vocabulary.of_text("a\n", "characters"))
    assert distribution.top(3) == [("a", 0.5), ("<unknown>", 0.2), ("\\n", 0.2)]
    assert distribution.top(0) == distribution.top(-1) == []
    assert len(distribution.top(99)) == 6
    assert (distribution["a"], distribution["\0"], distribution["?"]) == (0.5, 0.1, 0.2)
    with pytest.raises(InputError, match="'aa', which has 2") as caught:
        distribution["aa"]
    assert "score" in caught.value.hint
