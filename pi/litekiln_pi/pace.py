"""When the network looks at frames: at most so many times a second, and not while nobody wants to know what it sees."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LINGER_SECONDS = 3.0  # between two questions of a visitor


class Pace:
    """`rate` frames a second at most, 0 for no limit. With `rests`, a live source's frames are dropped while nobody asks."""

    def __init__(self, rate: float = 0.0, *, rests: bool = False) -> None:
        self.rate, self._rests = rate, rests
        self._lock = threading.Lock()
        self._watching, self._asked, self._next = 0, -LINGER_SECONDS, 0.0

    @property
    def resting(self) -> bool:
        """Whether nobody asks, or has asked a moment ago."""
        return self._rests and not self._watching and time.monotonic() - self._asked > LINGER_SECONDS

    @contextmanager
    def watching(self) -> Iterator[bool]:
        """Somebody wants new frames; whether the loop was resting until now, so that its newest frame is old."""
        with self._lock:
            rested = self.resting
            self._watching += 1
        try:
            yield rested
        finally:
            with self._lock:
                self._watching -= 1
                self._asked = time.monotonic()

    def wait(self, stopping: threading.Event) -> None:
        """Wait until the next frame may be looked at. Called by one thread, just before it takes that frame."""
        if not self.rate:
            return
        early = self._next - time.monotonic()
        if early > 0:
            stopping.wait(early)
        self._next = time.monotonic() + 1 / self.rate
