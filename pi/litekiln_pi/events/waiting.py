"""The events that wait for a receiver which is slow or away. Putting one in never waits."""

import threading
from collections import Counter, deque

from litekiln_pi.events.events import Event

MOST_WAITING = 100  # events; the oldest are dropped for newer ones
SENT, FAILED, DROPPED = "sent", "failed", "dropped"


class Waiting:
    """What each sender is. `counts` says what became of its events, as far as it can tell: `outcomes`."""

    def __init__(self, *outcomes: str) -> None:
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self.counts: Counter[str] = Counter(dict.fromkeys(outcomes, 0))

    def put(self, event: Event) -> None:
        """Send an event later. It never waits."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.counts[DROPPED] += 1
            self._waiting.append(event)
            self._changed.notify_all()
