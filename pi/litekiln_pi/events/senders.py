"""To whom events are sent: what `serve` starts and stops."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from litekiln_pi.events.events import Sender, Watch
from litekiln_pi.events.identity import identity
from litekiln_pi.model import Bundle
from litekiln_pi.saying import Say


@contextmanager
def sending(
    watch: Watch, bundle: Bundle, well: Callable[[], bool], say: Say, *, name: str, webhook: str, mqtt: str
) -> Iterator[None]:
    """Send events to these addresses, "" for none, as the Pi of this name. BadUse when an address is invalid."""
    pi, senders = identity(name), list[Sender]()
    if webhook:
        from litekiln_pi.events.webhook import Webhook

        senders.append(Webhook(webhook, pi.name, say))
    if mqtt:
        from litekiln_pi.events.discovery import Device
        from litekiln_pi.events.mqtt import Mqtt

        device = Device(pi, bundle.name, str(bundle.manifest.get("litekiln", "")))
        senders.append(Mqtt(mqtt, device, watch, bundle.names, well, say))
    for each in senders:
        watch.add(each)
        each.start()
    try:
        yield
    finally:
        for each in senders:
            each.stop()
