"""The file of a served detector, which can learn that sequences are normal."""

from collections.abc import Sequence
from pathlib import Path

from onward.artefact import digest_of, weights_of
from onward.outputs import output_lock
from onward.serve.http.errors import ApiError
from onward.watch.datasets import format_of, parser_for
from onward.watch.detector import Detector
from onward.watch.feedback import Feedback, mark_normal
from onward.watch.input.format import InputFormat
from onward.watch.input.parsers import RecordParser
from onward.watch.stream.alarms import Alarm


class DetectorFile:
    """A detector and its file.

    Args:
        path: path of the file.
        rate: false-alarm rate; None: the detector's own.

    Attributes:
        detector: the detector with this rate.

    Raises:
        ArtefactError: the file is not a detector.
    """

    def __init__(self, path: Path, rate: float | None) -> None:
        self.detector = Detector.load(path).with_rate(rate)
        self._path, self._rate = path, rate
        self._log_parser = parser_for(self.detector)

    @property
    def input_format(self) -> InputFormat:
        """How the detector's records are parsed."""
        return format_of(self.detector)

    def batch_parser(self) -> RecordParser:
        """The parser of a batch. The columns of a CSV file differ by batch, the templates of a log do not."""
        return parser_for(self.detector) if self.input_format.form == "csv" else self._log_parser

    def mark_normal(self, alarm: Alarm, events: Sequence[str], *, ended: bool) -> Feedback:
        """Learns that the sequence of an alarm is normal, and replaces the file. A second time does nothing.

        Raises:
            ApiError: 409, another program has replaced the detector.
            WriteError: the file cannot be replaced.
        """
        with output_lock(self._path):
            found = Detector.load(self._path)
            if digest_of(weights_of(found.model)) != digest_of(weights_of(self.detector.model)):
                message = f"{self._path.name} was replaced by another detector"
                raise ApiError(409, "model_changed", message, hint="start the server again")
            feedback = mark_normal(found, events, alarm.key, began=alarm.began, ended=ended)
            if not feedback.repeated:
                feedback.detector.save(self._path)
                self.detector = feedback.detector.with_rate(self._rate)
        return feedback
