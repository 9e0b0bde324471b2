"""A broker, and the fixtures that run command lines."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from benchmarks.brokers import Noida
from tests.cli.conftest import onward, process, watching  # noqa: F401 - fixtures

_numbers = itertools.count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Noida]:
    """A broker of noida-db, which is not Apache Kafka."""
    with Noida(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def new_topic(broker: Noida) -> Callable[[int], str]:
    """Creates a topic with a number of partitions, and returns its name."""

    def make(partitions: int) -> str:
        name = f"topic-{next(_numbers)}"
        broker.create(name, partitions)
        return name

    return make
