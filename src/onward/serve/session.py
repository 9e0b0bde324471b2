"""One session of a server: a text that somebody types, and what the model made of it."""

import asyncio
import time
from dataclasses import asdict, dataclass, field

from onward.serve.learning import Learner, megabytes_to_learn
from onward.serve.models import Served
from onward.serve.store import Saved
from onward.serve.typed_text import TypedText, Wish


@dataclass
class TypingSession:
    """A session.

    Attributes:
        id, served: its name, and its model.
        text, cursor, version: as of the last edit.
        wish: of the last request.
        adapts: whether it learns.
        typed: what the model has read.
        learner: what it has learned, once it is read; None: that lies in the store, or it learns nothing.
        edits: that have come, so that one that was overtaken is known.
        lock: one edit at a time.
        used: when it was last used, on the clock of `time.monotonic`.
    """

    id: str
    served: Served
    text: str = ""
    cursor: int = 0
    version: int = 0
    wish: Wish = field(default_factory=Wish)
    adapts: bool = False
    typed: TypedText | None = None
    learner: Learner | None = None
    edits: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    used: float = field(default_factory=time.monotonic)

    def saved(self) -> Saved:
        """As the store keeps it."""
        options = asdict(self.wish) | {"adapt": self.adapts}
        return Saved(self.id, self.served.name, self.text, self.cursor, self.version, options, time.time())

    @property
    def megabytes(self) -> float:
        """What its states take, and the weights that it may have learned, about."""
        states = self.typed.megabytes if self.typed else 0.0
        return states + (megabytes_to_learn(self.served.trained.model) if self.adapts else 0.0)
