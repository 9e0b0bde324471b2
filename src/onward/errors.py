"""Every error that onward raises on purpose.

    OnwardError                 what was expected, what was received; `hint` is the remedy
    ├── InputError              the caller can mend it (command line: exit 2)
    │   ├── CorpusError         a source is missing, empty, or is not what it was said to be
    │   ├── VocabularyError     symbols or ids that the vocabulary cannot take
    │   ├── RecipeError         a hyperparameter that does not exist or cannot have that value
    │   ├── ArtefactError       a model file or checkpoint that is not one, or not one of ours
    │   └── BusyError           another run is writing to the same output
    ├── RunError                the input was right, the run failed (command line: exit 1)
    │   ├── DivergedError       the loss left the finite numbers and lower learning rates did not help
    │   └── WriteError          the disk refused; what was there before is untouched
    └── Interrupted             the user stopped a run, which can go on (command line: exit 130)

Anything else that reaches the caller is a bug of ours, and keeps its traceback.
"""


class OnwardError(Exception):
    """Base of the tree. `str(error)` says what was expected and received, `error.hint` the remedy."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(OnwardError):
    """The caller can mend it."""


class CorpusError(InputError):
    """A source is missing, empty, or is not what it was said to be."""


class VocabularyError(InputError):
    """Symbols or ids that the vocabulary cannot take."""


class RecipeError(InputError):
    """A hyperparameter that does not exist or cannot have that value."""


class ArtefactError(InputError):
    """A model file or checkpoint that is not one, or not one of ours."""


class BusyError(InputError):
    """Another run is writing to the same output."""


class RunError(OnwardError):
    """The input was right, the run failed."""


class DivergedError(RunError):
    """The loss left the finite numbers, and lower learning rates did not help."""


class WriteError(RunError):
    """The disk refused. What was there before is untouched."""


class Interrupted(OnwardError):  # noqa: N818 - it is no error
    """The user stopped a run. It was saved, and can go on."""
