"""Counts only: no picture leaves the Pi."""

from litekiln_pi.server.answers import Refused
from litekiln_pi.server.settings import Settings

WHY = "this Pi gives no pictures, only what it counts (--counts-only)"


def refuse_pictures(settings: Settings) -> None:
    if settings.counts_only:
        raise Refused(403, WHY)
