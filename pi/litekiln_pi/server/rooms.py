"""How many requests are answered at a time. Each kind has a room of its own, and no address may fill one.

So viewers who wait for frames never keep anybody from the state or from "Pause", and one visitor never keeps out all others.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import Scope

from litekiln_pi.server.answers import Refused
from litekiln_pi.server.settings import Limits

WAITING, PICTURES, QUICK, FREE = "waiting", "pictures", "quick", "free"
MOVING = "/stream.mjpg"
KINDS = {"/api/frame": WAITING, MOVING: WAITING, "/api/detect": PICTURES, "/healthz": FREE}
EVENTS = "text/event-stream"


def kind_of(scope: Scope) -> str:
    if scope["path"] in ("/api/detections", "/api/events") and EVENTS in Headers(scope=scope).get("accept", ""):
        return WAITING
    return KINDS.get(scope["path"], QUICK)


def address_of(client: tuple[str, int] | None) -> str:
    """What counts as one visitor: an IPv4 address, or the half of an IPv6 address that a household has to itself."""
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def is_here(client: tuple[str, int] | None) -> bool:
    """Whether this machine itself asks: it has no share."""
    try:
        return client is not None and ipaddress.ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:
        return False


def share_of(most: int, limits: Limits) -> int:
    """How many of so many places one address may have."""
    return max(1, int(most * limits.share))


class Rooms:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = {WAITING: limits.requests, PICTURES: limits.pictures, QUICK: limits.quick}
        self._inside: Counter[str] = Counter()
        self._of_address: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def place(self, scope: Scope) -> Iterator[None]:
        """A place for a request. Refused when there is none."""
        kind, client = kind_of(scope), scope["client"]
        most, address = self._most.get(kind), (kind, address_of(client))
        if most is not None:
            what = "pictures are being looked at already" if kind == PICTURES else "requests at the moment"
            if self._inside[kind] >= most:
                raise Refused(503, f"too many {what}", retry=1 + (kind == PICTURES))
            if not is_here(client) and self._of_address[address] >= share_of(most, self._limits):
                raise Refused(503, f"too many {what} from your address", retry=1 + (kind == PICTURES))
        self._inside[kind] += 1
        self._of_address[address] += 1
        try:
            yield
        finally:
            self._inside[kind] -= 1
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    @property
    def running(self) -> int:
        return self._inside.total()
