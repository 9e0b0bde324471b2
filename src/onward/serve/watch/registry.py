"""The detectors that are served, by name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from onward.errors import InputError
from onward.serve.http.errors import ApiError
from onward.serve.http.limits import Limits
from onward.serve.http.metrics import Metrics
from onward.serve.watch.worker import DetectorWorker


class DetectorRegistry:
    """The detectors, in the order in which they were named; the first is the default.

    Args:
        paths: of their files.
        state: keeps their watches (see `state_of`).
        alone: whether nothing else is served that the state could be of.
        idle: seconds without a record after which a sequence has ended.
        rate: of false alarms; None: each detector's own.
        limits: of batches, and of who listens.

    Raises:
        ArtefactError: a file is no detector, or a state is that of another one.
        BusyError: another watch goes on in a state.
        InputError: two have one name.
        WriteError: a state cannot be written.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        state: Path | None,
        alone: bool,
        idle: float,
        rate: float | None,
        limits: Limits,
    ) -> None:
        names = [path.stem for path in paths]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(
                f"expected detectors of different names, got two of {twice!r}",
                hint="a detector's name is that of its file: rename one",
            )
        self._served: dict[str, DetectorWorker] = {}
        for path in paths:
            kept = state_of(path, state, alone=alone and len(paths) == 1)
            self._served[path.stem] = DetectorWorker(path, kept, idle=idle, rate=rate, limits=limits)

    def __iter__(self) -> Iterator[DetectorWorker]:
        """All of them."""
        return iter(self._served.values())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._served)

    def get(self, name: str | None) -> DetectorWorker:
        """The detector of that name; None: the first.

        Raises:
            Refusal: there is none.
        """
        found = next(iter(self), None) if name is None else self._served.get(name)
        if found is None:
            names = ", ".join(self._served)
            if not names:
                message = "this server watches nothing"
                raise ApiError(404, "model_not_found", message, hint="start it with a detector")
            message = f"expected one of the detectors {names}, got {str(name)[:200]!r}"
            hint = "leave model out for the first"
            raise ApiError(404, "model_not_found", message, param="model", hint=hint)
        return found

    def register(self, metrics: Metrics) -> None:
        """Adds the metrics of all detectors."""
        if not self._served:
            return

        def total(name: str) -> float:
            return sum(served.report[name] for served in self)

        metrics.add_total("onward_watch_records", "Events read.", lambda: total("records"))
        metrics.add_total(
            "onward_watch_unparsable", "Lines that are not events.", lambda: total("unparsable")
        )
        metrics.add_total("onward_watch_sequences", "Sequences evaluated.", lambda: total("sequences"))
        metrics.add_total("onward_watch_alarms", "Alarms raised.", lambda: total("last_alarm"))
        metrics.add_gauge("onward_watch_in_flight", "Open sequences.", lambda: total("in_flight"))


def state_of(path: Path, state: Path | None, *, alone: bool) -> Path | None:
    """The file that keeps a watch: `--state` itself where it is of nothing else, or one beside it.

    Beside sessions.db lies sessions.audit.db for audit.onward.
    """
    return state if state is None or alone else state.with_name(f"{state.stem}.{path.stem}{state.suffix}")
