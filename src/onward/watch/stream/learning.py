"""Learning as it reads: the sequences that ended without being unusual become part of what is normal.

The lookup tables and the n-gram model of the detector learn them; the model and the calibration stay. A
sequence is scored before it is learned. Sequences that rate control suppresses are not learned, because
anomalies are among them. The detector learns after fixed numbers of records, so the alarms do
not depend on how the records were divided into calls.

The store holds the learned sequences, and a restart learns them again. Their number is limited: the oldest
are forgotten first.
"""

from onward.stored import Count, StoredModel
from onward.watch.detector import Detector
from onward.watch.stream.store import WatchStore

MOST_LEARNED_EVENTS = 100_000
"""The largest number of learned events that are remembered; of more, the older half is forgotten."""

_FEWEST_RECORDS, _SHARE = 256, 0.02
"""The detector learns after as many records as this share of the events that it knows, but not more often
than after this number of records."""


class OnlineLearning:
    """A detector that learns the normal sequences of a stream.

    Args:
        detector: the detector as it was before the stream.
        store: holds the learned sequences.

    Raises:
        ArtefactError: the store is damaged.

    Attributes:
        detector: the detector with what it has learned.
    """

    def __init__(self, detector: Detector, store: WatchStore) -> None:
        self._base, self._store = detector, store
        self._ended: list[list[str]] = []  # not yet in the store
        state = store.fact("learning", _State.model_validate) or _State()
        self._records, self._learned = state.records, state.learned
        self.detector = detector.learn(store.learned())

    @property
    def records_until_learning(self) -> int:
        """The number of records until `learn` is to be called."""
        return max(_FEWEST_RECORDS, int(_SHARE * (self._base.events + self._learned))) - self._records

    def add(self, events: list[str]) -> None:
        """Notes the events of a sequence that ended without being unusual."""
        self._ended.append(events)

    def read(self, records: int) -> None:
        """Notes that records were read, at most as many as are due, and learns if it is time."""
        self._records += records
        if self.records_until_learning <= 0:
            self._learn()

    def save(self) -> None:
        """Writes the state to the store."""
        self._flush()
        self._store.set_fact("learning", _State(records=self._records, learned=self._learned).model_dump())

    def _flush(self) -> None:
        self._store.add_ended(self._ended)
        self._ended.clear()

    def _learn(self) -> None:
        self._flush()
        sequences = self._store.move_ended_to_learned()
        self._learned += sum(map(len, sequences))
        if self._learned > MOST_LEARNED_EVENTS:
            self._learned = self._store.forget_learned(MOST_LEARNED_EVENTS // 2)
            self.detector = self._base.learn(self._store.learned())
        else:
            self.detector = self.detector.learn(sequences)
        self._records = 0


class _State(StoredModel):
    """The state of `OnlineLearning` besides the sequences.

    Attributes:
        records: number of records since it learned.
        learned: number of events that it has learned, and not forgotten.
    """

    records: Count = 0
    learned: Count = 0
