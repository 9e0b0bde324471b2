"""The detectors that a server serves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from onward.serve.http.limits import Limits
from onward.serve.http.lookup import Lookup, paths_by_name
from onward.serve.http.metrics import Metrics
from onward.serve.watch.settings import WatchSettings
from onward.serve.watch.worker import DetectorWorker
from onward.watch.notify.targets import Targets

DetectorRegistry: TypeAlias = Lookup[DetectorWorker]


def load_detectors(
    paths: Sequence[Path],
    *,
    state: Path | None,
    alone: bool,
    settings: WatchSettings,
    targets: Targets,
    limits: Limits,
) -> DetectorRegistry:
    """Loads detectors, and starts a worker for each.

    Args:
        paths: paths of the detector files.
        state: file of the states, see `state_of`; None: the states end with the server.
        alone: whether the server serves only detectors.
        settings: the settings of all detectors.
        targets: where the notices go.
        limits: limits of batches and of clients that follow the alarms.

    Raises:
        ArtefactError: a file is not a detector, or a state belongs to another one.
        BusyError: another process uses a state.
        InputError: two files have the same name, or a target is wrong.
        WriteError: a state cannot be written.
    """
    served: dict[str, DetectorWorker] = {}
    for name, path in paths_by_name("detectors", paths).items():
        file = state_of(path, state, alone=alone and len(paths) == 1)
        served[name] = DetectorWorker(path, file, settings, limits=limits, targets=targets)
    return Lookup("detectors", served, remedy="serve a detector made by `onward watch learn`")


def add_detector_metrics(metrics: Metrics, detectors: DetectorRegistry) -> None:
    """Adds the metrics of all detectors together."""
    if not len(detectors):
        return

    def total(name: str) -> float:
        return sum(served.report[name] for served in detectors)

    metrics.add_total("onward_watch_records", "Events read.", lambda: total("records"))
    metrics.add_total("onward_watch_unparsable", "Lines that are not events.", lambda: total("unparsable"))
    metrics.add_total("onward_watch_sequences", "Sequences evaluated.", lambda: total("sequences"))
    metrics.add_total("onward_watch_alarms", "Alarms raised.", lambda: total("last_alarm"))
    metrics.add_total("onward_watch_incidents", "Incidents opened.", lambda: total("incidents"))
    metrics.add_total(
        "onward_watch_suppressed",
        "Unusual sequences not reported, to keep the false-alarm rate or the budget.",
        lambda: total("suppressed"),
    )
    metrics.add_gauge("onward_watch_in_flight", "Open sequences.", lambda: total("in_flight"))

    def sent(name: str) -> float:
        return sum(target[name] for served in detectors for target in served.targets)

    metrics.add_total("onward_watch_deliveries", "Notices delivered.", lambda: sent("delivered"))
    metrics.add_total("onward_watch_delivery_failures", "Deliveries that failed.", lambda: sent("failures"))
    metrics.add_total("onward_watch_notices_dropped", "Notices never delivered.", lambda: sent("dropped"))
    metrics.add_gauge(
        "onward_watch_notices_waiting", "Notices that wait for a target.", lambda: sent("waiting")
    )


def state_of(path: Path, state: Path | None, *, alone: bool) -> Path | None:
    """Returns the state file of a detector: `state` if nothing else uses it, or else one beside it.

    With sessions.db, the state of audit.onward is sessions.audit.db.
    """
    return state if state is None or alone else state.with_name(f"{state.stem}.{path.stem}{state.suffix}")
