"""Delivery: the alarm file has each alarm once, even if a process is killed at any moment."""

import os
import random
from pathlib import Path

import pytest

from onward.errors import WriteError
from onward.watch.stream.alarms import Alarm
from onward.watch.stream.delivery import AlarmDelivery, AlarmFile
from onward.watch.stream.store import Notice, WatchStore


def alarm(number: int, line: str = "a line") -> Alarm:
    return Alarm(number, f"s{number}", number, None, True, 0.001, "largest", line, number, None)


def encoded(*alarms: Notice) -> list[str]:
    return [one.encode() for one in alarms]


@pytest.mark.parametrize("seed", range(10))
def test_a_file_is_completed_after_a_kill_at_any_byte(seed: int, tmp_path: Path) -> None:
    path, chance = tmp_path / "alarms.jsonl", random.Random(seed)
    alarms = [alarm(i, "x" * chance.randrange(30)) for i in range(10)]
    path.write_text("earlier content\n")
    length = AlarmFile(path, None).length
    file = AlarmFile(path, length)
    file.write(alarms)
    os.truncate(path, chance.randrange(length, file.length + 1))  # killed while it wrote
    AlarmFile(path, length).write(alarms)
    assert path.read_text().splitlines() == ["earlier content", *encoded(*alarms)]


def test_a_file_that_was_moved_away_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "alarms.jsonl"
    AlarmFile(path, 1000).write([alarm(1)])
    assert path.read_text().splitlines() == encoded(alarm(1))
    path.write_text("longer than the store knows\n")
    AlarmFile(path, 4).write([alarm(2)])
    assert path.read_text().splitlines() == ["longer than the store knows", *encoded(alarm(2))]


def test_a_file_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"cannot write alarms to .*jsonl: No such file"):
        AlarmFile(tmp_path / "no" / "alarms.jsonl", None)


def test_alarms_of_a_killed_run_are_delivered_first(tmp_path: Path) -> None:
    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.add_notices([alarm(1), alarm(2)])
    store.commit()
    store.close()  # killed between commit and delivery
    store, found = WatchStore(path), list[Notice]()
    delivery = AlarmDelivery(store, found.append, tmp_path / "alarms.jsonl")
    delivery.send()
    store.add_notices([alarm(3)])
    store.commit()
    delivery.send()
    delivery.send()
    assert found == [alarm(1), alarm(2), alarm(3)]
    assert delivery.delivered == 3
    assert (tmp_path / "alarms.jsonl").read_text().splitlines() == encoded(*found)
    assert store.outbox() == []
    delivery.close()
    store.close()


def test_alarms_that_were_not_taken_stay_in_the_outbox(tmp_path: Path) -> None:
    def fail(_: Notice) -> None:
        raise BrokenPipeError

    path = tmp_path / "watch.db"
    store = WatchStore(path)
    store.add_notices([alarm(1)])
    store.commit()
    with pytest.raises(BrokenPipeError):
        AlarmDelivery(store, fail).send()
    store.close()
    store = WatchStore(path)
    assert store.outbox() == [alarm(1)]
    store.close()


def test_a_file_of_alarms_is_private_and_not_written_through_a_link(tmp_path: Path) -> None:
    path, secret = tmp_path / "alarms", tmp_path / "secret"
    AlarmFile(path, None).close()
    assert path.stat().st_mode & 0o777 == 0o600
    secret.write_text("secret")
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(WriteError, match="got a link"):
        AlarmFile(path, None)
    assert secret.read_text() == "secret"
