"""The targets that a user named."""

import pytest

from onward.errors import InputError
from onward.watch.notify.targets import Targets


def test_each_target_has_a_notifier_with_its_own_id() -> None:
    targets = Targets(
        webhooks=["https://a.example/1", "https://a.example/2"],
        alertmanagers=["http://a.example:9093/prefix/"],
        syslogs=["local", "udp://a.example"],
    )
    notifiers = targets.notifiers("audit")
    assert [one.target for one in notifiers] == [
        "https://a.example",
        "https://a.example",
        "http://a.example:9093",
        "syslog local",
        "syslog udp://a.example",
    ]
    assert len({one.id for one in notifiers}) == 5
    assert [one.repeat_seconds is None for one in notifiers] == [True, True, False, True, True]


def test_a_target_that_was_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match="the same target was given twice"):
        Targets(syslogs=["local", "local"]).notifiers("audit")


def test_a_wrong_alertmanager_is_named_by_its_option() -> None:
    with pytest.raises(InputError, match="--alertmanager must be an http or https URL"):
        Targets(alertmanagers=["host:9093"]).notifiers("audit")
