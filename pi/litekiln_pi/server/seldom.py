"""Log lines that visitors cause: the same one at most once a minute, so that nobody fills the disk with them."""

import logging
import time

SECONDS = 60.0
MOST = 100  # different ones


class Seldom(logging.Filter):
    """Lets each kind of line through once a minute, with the number of those left out meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, tuple[float, int]] = {}  # when it was written, and how many were left out since

    def filter(self, record: logging.LogRecord) -> bool:
        kind, now = _kind(record), time.monotonic()
        since, left_out = self._known.get(kind, (float("-inf"), 0))
        if kind not in self._known and len(self._known) >= MOST:
            return False
        if now - since < SECONDS:
            self._known[kind] = since, left_out + 1
            return False
        self._known[kind] = now, 0
        if left_out:
            record.msg, record.args = f"{record.getMessage().rstrip()} (and {left_out} more since the last such line)", ()
        return True


def bound(log: logging.Logger) -> None:
    """Keep visitors from filling this log."""
    for each in [each for each in log.filters if isinstance(each, Seldom)]:
        log.removeFilter(each)
    log.addFilter(Seldom())


def _kind(record: logging.LogRecord) -> str:
    """The line's text, or the place of its error: other texts may contain what the visitor sent."""
    error = record.exc_info[1] if record.exc_info else None
    place = error.__traceback__ if error else None
    while place and place.tb_next:
        place = place.tb_next
    return f"{type(error).__name__} {place.tb_frame.f_code.co_filename} {place.tb_lineno}" if place else str(record.msg)
