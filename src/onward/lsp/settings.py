"""The settings that an editor sends."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SECTION = "onward"
"""Name of the section of the editor's configuration."""


class Settings(BaseModel):
    """What is suggested, and where.

    Attributes:
        length: where ghost text ends: where the model is no longer certain, after a word, or after the line.
        probability: least probability of a text that is shown.
        shortest: minimum number of characters; accepting one character takes as many keys as typing it.
        words: maximum number of words in the list of completions; 0 turns the list off.
        languages: identifiers of the languages of documents; "*" is all.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    length: Literal["certain", "word", "line"] = "certain"
    probability: Annotated[float, Field(ge=0, le=1)] = 0.3
    shortest: Annotated[int, Field(ge=1, le=100)] = 2
    words: Annotated[int, Field(ge=0, le=20)] = 5
    languages: list[str] = ["*"]

    def includes(self, language: str) -> bool:
        """Whether documents of a language get suggestions."""
        return "*" in self.languages or language in self.languages

    @classmethod
    def read(cls, sent: Any) -> tuple[Self, str]:
        """Reads the settings that a client sent, alone or in a section.

        Returns:
            The settings, and what is wrong with what was sent; then the settings are the default ones.
        """
        values = sent.get(SECTION, sent) if isinstance(sent, dict) else sent
        if not values:  # some clients send an empty list for an empty object
            return cls(), ""
        try:
            return cls.model_validate(values), ""
        except ValidationError as error:
            (wrong, *_) = error.errors(include_url=False)
            name = ".".join(map(str, (SECTION, *wrong["loc"])))
            return cls(), f"wrong setting {name}: {wrong['msg']}; the default settings are used"
