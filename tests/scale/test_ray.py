"""Ray: a cluster whose workers and nodes end, and datasets. Each test starts Ray, which takes seconds."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.sessions import session
from tests.scale.archive_files import TEXT
from tests.scale.launched import write_text

import onward
from onward.errors import CorpusError, InputError
from onward.scale.archives.engine import in_order
from onward.watch.training import LearnSettings, learn_detector

ray = pytest.importorskip("ray")

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[tuple[Any, Any]]:
    """A cluster of two nodes with a core each, on this machine, and the second node."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()


def square(number: int) -> int:
    """Takes some time, so that a worker is killed while it computes."""
    time.sleep(0.2)
    if number == 7:
        raise CorpusError("expected another number, got 7")
    return number * number


def test_a_killed_worker_and_a_removed_node_lose_nothing(cluster: tuple[Any, Any], tmp_path: Path) -> None:
    from onward.scale.archives.ray_tasks import RayTasks  # noqa: PLC0415

    def job(number: int) -> int:
        (tmp_path / str(os.getpid())).touch()
        return square(number)

    nodes, second = cluster
    outcomes = []
    for outcome in RayTasks()(job, range(50)):
        outcomes.append(outcome)
        if len(outcomes) == 10:
            os.kill(int(next(tmp_path.iterdir()).name), signal.SIGKILL)
        if len(outcomes) == 20:
            nodes.remove_node(second)
    assert sorted(outcome.number for outcome in outcomes) == [*range(50)]
    ordered = [*in_order(iter(outcomes))]
    assert [outcome.result for outcome in ordered] == [n * n if n != 7 else None for n in range(50)]
    assert isinstance(ordered[7].error, CorpusError)


@pytest.fixture
def local() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def test_texts_of_a_dataset_have_the_scores_of_one_process(local: None) -> None:
    import onward.scale.ray as scale  # noqa: PLC0415

    texts = [TEXT[start : start + 300 + start] for start in range(0, 4000, 150)] + ["", TEXT[:20_000]]
    dataset = ray.data.from_items([{"id": i, "text": text} for i, text in enumerate(texts)])
    rows = sorted(scale.score(dataset, "english").take_all(), key=lambda row: row["id"])
    model = onward.load("english")
    for row, text in zip(rows, texts, strict=True):
        if text:
            expected = model.score(text)
            assert (row["nats"], row["symbols"], row["unknown"]) == (
                expected.nats, expected.symbols, expected.unknown,
            )  # fmt: skip
            assert row["bits_per_symbol"] == expected.bits_per_symbol
        else:
            assert row["symbols"] == 0
            assert np.isnan(row["nats_per_symbol"])
    with pytest.raises(InputError, match="expected a column 'line', got id, text"):
        scale.score(dataset, "english", column="line")


def test_sequences_of_a_dataset_have_the_verdicts_of_one_process(local: None, tmp_path: Path) -> None:
    import onward.scale.ray as scale  # noqa: PLC0415

    chance = random.Random(3)
    sessions = [session(chance) for _ in range(60)]
    detector = learn_detector(sessions, LearnSettings(steps=20))
    detector.save(tmp_path / "d.onward")
    judged = [*sessions[:20], ["start", "sync", "read", "stop"]]
    records = [
        (f"s{i}", place, event) for i, events in enumerate(judged) for place, event in enumerate(events)
    ]
    chance.shuffle(records)
    dataset = ray.data.from_items([{"id": i, "at": at, "what": what} for i, at, what in records])
    found = scale.judge(dataset, tmp_path / "d.onward", key="id", event="what", order="at").take_all()
    assert len(found) == len(judged)
    for row in found:
        (expected,) = detector.judge([judged[int(row["id"][1:])]])
        assert (row["score"], row["p_value"], row["flagged"]) == (
            expected.score, expected.p_value, expected.flagged,
        )  # fmt: skip
        assert (row["events"], row["main_feature"]) == (expected.length, expected.main_feature)


def test_ray_train_writes_the_bytes_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # one thread, as in Ray's workers
    from ray.train import RunConfig, ScalingConfig  # noqa: PLC0415
    from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415

    text, settings = write_text(tmp_path / "words.txt"), {"recipe": "tiny", "width": 24, "dropout": 0.2}
    settings |= {"base": "none", "precision": "fp32", "steps": 40}
    alone, joint = tmp_path / "alone.onward", tmp_path / "joint.onward"
    onward.train(text, output=alone, shards=4, **settings)

    def work() -> None:
        onward.train(text, output=joint, **settings)

    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        TorchTrainer(
            work,
            scaling_config=ScalingConfig(num_workers=2),
            torch_config=TorchConfig(backend="gloo"),
            run_config=RunConfig(storage_path=str(tmp_path)),
        ).fit()
    finally:
        ray.shutdown()
    assert joint.read_bytes() == alone.read_bytes()
