"""The text of a typing session, and how it changes."""

from dataclasses import dataclass, field, replace

from onward.inference.completion.boundaries import Until
from onward.serve.engine.answer_options import AnswerOptions
from onward.serve.http.errors import ApiError


@dataclass(frozen=True)
class Edit:
    """Replaces a part of a text.

    Attributes:
        at: position at which the part begins.
        delete: number of characters that are removed.
        insert: characters that take their place.
        cursor: position of the cursor after the edit.
    """

    at: int
    delete: int
    insert: str
    cursor: int

    def apply(self, text: str) -> str:
        """Returns the text after the edit."""
        return text[: self.at] + self.insert + text[self.at + self.delete :]


@dataclass(frozen=True)
class Document:
    """A session's text, cursor and options.

    Attributes:
        text, cursor: text and cursor after the last edit.
        version: number of edits.
        options: options of the answers, as the client last set them.
    """

    text: str = ""
    cursor: int = 0
    version: int = 0
    options: AnswerOptions = field(default_factory=AnswerOptions)

    def after(self, edit: Edit) -> "Document":
        """Returns the document after an edit."""
        return replace(self, text=edit.apply(self.text), cursor=edit.cursor, version=self.version + 1)


@dataclass(frozen=True, kw_only=True)
class DocumentChange:
    """A change as a client requests it. None keeps a value, or stands for a default that depends on the text.

    Other changes may be waiting when it arrives, so its positions are checked when its turn comes.

    Attributes:
        at: position at which the edit begins; None: the cursor.
        delete: number of characters that are removed; None: none.
        insert: characters that take their place; None: none.
        cursor: position of the cursor after the edit; None: after the inserted characters.
        version: version that the document must have; None: any.
        forget: whether to drop the learned weights.
        completions, until, shortest, next: see `AnswerOptions`.
    """

    at: int | None = None
    delete: int | None = None
    insert: str | None = None
    cursor: int | None = None
    version: int | None = None
    forget: bool = False
    completions: int | None = None
    until: Until | None = None
    shortest: int | None = None
    next: int | None = None

    @property
    def has_edit(self) -> bool:
        """Whether the text or the cursor changes."""
        return any(value is not None for value in (self.at, self.delete, self.insert, self.cursor))

    def edit_of(self, document: Document) -> Edit | None:
        """Returns the edit of a document; None if only options change.

        Raises:
            ApiError: 400, a position is outside the text; 409, the document has another version.
        """
        if self.version is not None and self.version != document.version:
            message = f"expected version {document.version} of the session, got {self.version}"
            hint = "GET the session for its current text and version"
            raise ApiError(409, "version_conflict", message, param="version", hint=hint)
        if not self.has_edit:
            return None
        size, insert = len(document.text), self.insert or ""
        at = _checked("at", self.at, document.cursor, size)
        delete = _checked("delete", self.delete, 0, size - at)
        after = size - delete + len(insert)
        return Edit(at, delete, insert, _checked("cursor", self.cursor, at + len(insert), after))

    def options_of(self, document: Document) -> AnswerOptions:
        """Returns the options of the answer."""
        given = {name: getattr(self, name) for name in ("completions", "until", "shortest", "next")}
        return replace(
            document.options, **{name: value for name, value in given.items() if value is not None}
        )


def _checked(name: str, value: int | None, default: int, largest: int) -> int:
    if value is None:
        return default
    if not 0 <= value <= largest:
        message = f"expected {name} to be a whole number from 0 to {largest}, got {value}"
        hint = "positions count the characters of the session's text: GET the session to see it"
        raise ApiError(400, "invalid_value", message, param=name, hint=hint)
    return value
