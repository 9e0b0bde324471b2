"""The targets that a user named, and the notifiers for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from onward.errors import InputError
from onward.watch.notify.alertmanager import PATH, Alertmanager
from onward.watch.notify.http_post import Endpoint
from onward.watch.notify.syslog import Syslog
from onward.watch.notify.webhook import Webhook
from onward.watch.stream.notifier import Notifier


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The targets of notices.

    Attributes:
        webhooks: URLs that get each notice.
        secret: the key of the webhooks' signatures; None: they are not signed.
        alertmanagers: URLs of Alertmanagers, without the path of their API.
        syslogs: addresses of syslog receivers, see `Syslog`.
    """

    webhooks: Sequence[str] = ()
    secret: str | None = None
    alertmanagers: Sequence[str] = ()
    syslogs: Sequence[str] = ()

    def notifiers(self, detector: str) -> list[Notifier]:
        """Returns a notifier for each target.

        Args:
            detector: name of the detector.

        Raises:
            InputError: a target or the secret is wrong, or a target was named twice.
        """
        found: list[Notifier] = [
            *(Webhook(Endpoint(url, "--webhook"), detector, self.secret) for url in self.webhooks),
            *(
                Alertmanager(Endpoint(f"{url.rstrip('/')}{PATH}", "--alertmanager"), detector)
                for url in self.alertmanagers
            ),
            *(Syslog(address, detector) for address in self.syslogs),
        ]
        for place, one in enumerate(found):
            if one.id in {other.id for other in found[:place]}:
                raise InputError(
                    f"the same target was given twice: {one.target}", hint="remove one of the two"
                )
        return found


NO_TARGETS = Targets()
