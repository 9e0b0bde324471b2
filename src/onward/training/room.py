"""Whether a model file will have room for a vocabulary: asked before the model is trained."""

import json

from onward.artefact import LONGEST_HEADER
from onward.data.vocabulary import Vocabulary
from onward.errors import VocabularyError

_ALL_ELSE = 1 << 20
"""Bytes of a header that are left to all but the vocabulary."""


def check_room(vocabulary: Vocabulary) -> None:
    """Refuses a vocabulary with which `artefact.save` would refuse the model in the end.

    Raises:
        VocabularyError: with the bytes that it takes, and those that there are.
    """
    size, room = len(json.dumps(json.dumps(vocabulary.to_json()))), LONGEST_HEADER - _ALL_ELSE
    if size > room:
        found = f"{len(vocabulary)} symbols that take {size}"
        raise VocabularyError(
            f"a model file has room for a vocabulary of {room} bytes, got {found}",
            hint="leave out what is rare, with a higher min_count, or learn characters or bytes",
        )
