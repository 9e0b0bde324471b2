"""Settings of the Kafka client."""

import sys
from pathlib import Path

import pytest

from onward.errors import InputError
from onward.scale.kafka.client import make_consumer
from onward.scale.kafka.settings import read_settings


def test_settings_are_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_text("# a comment\n\nsecurity.protocol = SSL\nssl.key.password=a=b\n")
    assert read_settings(path) == {"security.protocol": "SSL", "ssl.key.password": "a=b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"security.protocol\n", "line 1: expected name=value"),
        (b"a=b\ngroup.id=x\n", "line 2: the watch itself sets group.id"),
        (b"auto.offset.reset=latest\n", "the watch itself sets auto.offset.reset"),
        (b"\xff\xfe", "it is not UTF-8"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "kafka.properties"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_settings(path)


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_settings(tmp_path / "none")


@pytest.mark.parametrize("settings", [{"no.such.setting": "1"}, {"fetch.min.bytes": "many"}])
def test_a_setting_that_the_client_does_not_know_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InputError, match="a setting of the Kafka client is wrong") as refused:
        make_consumer("localhost:1", "group", settings, lambda _: None)
    assert next(iter(settings)) in str(refused.value)


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(InputError, match="the package confluent-kafka, which is not installed") as refused:
        make_consumer("localhost:1", "group", {}, lambda _: None)
    assert refused.value.hint == "pip install '.[kafka]'"
