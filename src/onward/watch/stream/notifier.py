"""The interface to a target that takes notices, such as a webhook."""

from typing import Protocol, runtime_checkable

from onward.watch.stream.store import Notice


class DeliveryError(Exception):
    """A target did not take a notice.

    Args:
        reason: what happened, for a message.
        is_final: whether the target refuses this notice for good, so that sending it again is useless.
        wait: seconds after which the target wants the next attempt; None: it did not say.
    """

    def __init__(self, reason: str, *, is_final: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.is_final, self.wait = is_final, wait


@runtime_checkable
class Notifier(Protocol):
    """Sends notices to one target. `send` is called by one thread, and may block for some seconds.

    Attributes:
        id: names the target in the store; it does not reveal secrets in a URL.
        target: names the target in messages, without secrets.
        repeat_seconds: send the opening alarm of each open incident again after this time; None: never.
    """

    @property
    def id(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def repeat_seconds(self) -> float | None: ...

    def send(self, name: str, notice: Notice) -> None:
        """Sends a notice, and returns once the target has taken it.

        Args:
            name: name of the notice, the same at every attempt.
            notice: an alarm that opens an incident, or an incident that was closed.

        Raises:
            DeliveryError: the target did not take it.
        """
        ...
