"""Changes of a document, as clients request them."""

from typing import Any

import pytest

from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.http.errors import ApiError
from onward.serve.sessions.document import Document, DocumentChange, Edit

DOCUMENT = Document("the lane", 3, 5, AnswerOptions(completions=1))


@pytest.mark.parametrize(
    ("fields", "edit"),
    [
        ({"insert": "x"}, Edit(3, 0, "x", 4)),
        ({"at": 0, "delete": 4}, Edit(0, 4, "", 0)),
        ({"cursor": 8}, Edit(3, 0, "", 8)),
        ({"at": 8, "insert": "s", "cursor": 0}, Edit(8, 0, "s", 0)),
    ],
)
def test_missing_positions_default_to_the_cursor(fields: dict[str, Any], edit: Edit) -> None:
    assert DocumentChange(**fields).edit_of(DOCUMENT) == edit


def test_a_change_of_options_alone_is_not_an_edit() -> None:
    change = DocumentChange(next=2, version=5)
    assert change.edit_of(DOCUMENT) is None
    assert change.options_of(DOCUMENT) == AnswerOptions(completions=1, next=2)


@pytest.mark.parametrize(
    ("fields", "param", "largest"),
    [
        ({"at": 9}, "at", 8),
        ({"at": 6, "delete": 3}, "delete", 2),
        ({"insert": "ab", "cursor": 11}, "cursor", 10),
        ({"delete": -1}, "delete", 5),
    ],
)
def test_positions_outside_the_text_are_refused(fields: dict[str, Any], param: str, largest: int) -> None:
    with pytest.raises(
        ApiError, match=f"expected {param} to be a whole number from 0 to {largest}"
    ) as caught:
        DocumentChange(**fields).edit_of(DOCUMENT)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_another_version_is_refused() -> None:
    with pytest.raises(ApiError, match="expected version 5 of the session, got 4") as caught:
        DocumentChange(insert="x", version=4).edit_of(DOCUMENT)
    assert (caught.value.status, caught.value.code) == (409, "version_conflict")
