"""Applies a job to many items, in the workers of a Ray cluster.

Ray does an item again if its worker or node ends. Each worker loads what a job needs from files, so models
and sources must be where all nodes can read them, under the same path.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from onward.errors import RunError
from onward.scale.archives.engine import ATTEMPTS, Job, Outcome, lost, outcome_of

_TASKS_PER_CPU = 2
"""Items that are given to Ray at once, so that no worker waits and few results are held."""


class RayTasks:
    """An engine of Ray tasks, each on one core.

    Args:
        address: the cluster, such as "auto" for the one of this machine; None starts one here.
        count: number of workers of a cluster that is started; None: one for each core.

    Raises:
        RunError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str | None = None, count: int | None = None) -> None:
        self._ray = ray = import_ray()
        if not ray.is_initialized():
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports its use over the network
            new: dict[str, Any] = {} if address else {"num_cpus": count, "include_dashboard": False}
            try:
                ray.init(address=address or "local", log_to_driver=False, logging_level="error", **new)
            except (ConnectionError, RuntimeError) as error:
                raise RunError(
                    f"there is no Ray cluster at {address or 'this machine, and none could be started'}",
                    hint="start one with `ray start --head`, or leave out --address"
                    if address
                    else "use --engine processes",
                ) from error

    def __call__(self, job: Job, items: Sequence[Any]) -> Iterator[Outcome]:
        """See `engine.ArchiveEngine`."""
        ray = self._ray
        folder = Path.cwd()

        def work(job: Job, number: int, item: Any) -> Outcome:
            os.chdir(folder)  # so that relative paths mean the same as here
            return outcome_of(job, number, item)

        task = ray.remote(max_retries=ATTEMPTS - 1, num_cpus=1, scheduling_strategy="SPREAD")(work)
        shared, waiting = ray.put(job), iter(enumerate(items))
        running: dict[Any, int] = {}
        while True:
            most = max(1, _TASKS_PER_CPU * int(ray.cluster_resources().get("CPU", 1)))
            while len(running) < most and (found := next(waiting, None)):
                running[task.remote(shared, *found)] = found[0]
            if not running:
                return
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            number = running.pop(done)
            try:
                yield ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from error  # a bug in the job
            except ray.exceptions.RayError as error:
                yield lost(number, items[number], type(error).__name__)


def import_ray() -> Any:
    """Returns the module `ray`.

    Raises:
        RunError: it is not installed.
    """
    try:
        import ray  # noqa: PLC0415 - an extra, which takes seconds to import
    except ImportError as error:
        raise RunError("Ray is not installed", hint="pip install '.[ray]'") from error
    return ray
