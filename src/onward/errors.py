"""The errors that onward raises.

    OnwardError                 the message says what was expected and received; `hint` says what to do
    ├── InputError              the caller can correct the input (command line: exit code 2)
    │   ├── CorpusError         a source is missing, empty, or has the wrong format
    │   ├── VocabularyError     symbols or ids that the vocabulary cannot represent
    │   ├── RecipeError         a hyperparameter that does not exist or has a wrong value
    │   ├── ArtefactError       a model file or checkpoint that is damaged, or not an onward file
    │   └── BusyError           another run is writing to the same output
    ├── RunError                the input is correct, but the run failed (command line: exit code 1)
    │   ├── DivergedError       the loss became infinite or NaN, and lower learning rates did not help
    │   ├── WriteError          a file could not be written; the previous file is unchanged
    │   └── LostProcess         another process of a run has ended (see `onward.scale.torchrun`)
    └── Interrupted             the user stopped a run, which can be resumed (command line: exit code 130)

Any other exception is a bug in onward and keeps its traceback.
"""

import os


class OnwardError(Exception):
    """Base class. `str(error)` says what was expected and received; `error.hint` says what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(OnwardError):
    """The input is wrong, and the caller can correct it."""


class CorpusError(InputError):
    """A source is missing, empty, or has the wrong format."""


class VocabularyError(InputError):
    """Symbols or ids that the vocabulary cannot represent."""


class RecipeError(InputError):
    """A hyperparameter that does not exist or has a wrong value."""


class ArtefactError(InputError):
    """A model file or checkpoint that is damaged, or not an onward file."""


class BusyError(InputError):
    """Another run is writing to the same output."""


class RunError(OnwardError):
    """The input is correct, but the run failed."""


class DivergedError(RunError):
    """The loss became infinite or NaN, and lower learning rates did not help."""


class WriteError(RunError):
    """A file could not be written. The previous file is unchanged."""

    @classmethod
    def of(cls, path: os.PathLike[str], error: OSError) -> "WriteError":
        """Returns the error for a file that the operating system did not write."""
        return cls(
            f"cannot write {path}: {error.strerror or error}",
            hint="check that the folder exists and is writable, and that the disk has free space",
        )


class LostProcess(RunError):  # noqa: N818 - what happened
    """Another process of the group has ended before the run did.

    Attributes:
        reports: whether this process is the one that reports it, because all of them notice.
    """

    def __init__(self, message: str, *, hint: str = "", reports: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.reports = reports


class Interrupted(OnwardError):  # noqa: N818 - not an error
    """The user stopped a run, which can be resumed."""
