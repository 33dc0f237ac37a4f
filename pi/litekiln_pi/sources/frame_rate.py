"""`--fps` for sources that send at their own rate: frames beyond it are dropped as they come, before anything decodes them."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from litekiln_pi.frames import Shot

if TYPE_CHECKING:
    from litekiln_pi.sources import Source

# Frames: the time that a late frame took isn't lost, so that a camera at exactly this rate loses none to its jitter.
SAVED_AT_FIRST, MOST_SAVED = 1.5, 2.0


class Limit:
    """Which frames to take, so that they are at most `fps` a second on average. 0 takes all."""

    def __init__(self, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fps, self._clock = fps, clock
        self._saved, self._last = SAVED_AT_FIRST, clock()

    def takes(self) -> bool:
        """Whether to take the frame that came now."""
        now = self._clock()
        self._saved, self._last = min(MOST_SAVED, self._saved + (now - self._last) * self._fps), now
        if self._fps and self._saved < 1:
            return False
        self._saved -= 1
        return True


class AtMost:
    """A live source without the frames beyond a rate."""

    live = True

    def __init__(self, source: "Source", fps: float) -> None:
        self.name, self._source, self._fps = source.name, source, fps

    def shots(self) -> Iterator[Shot]:
        limit = Limit(self._fps)
        return (shot for shot in self._source.shots() if limit.takes())

    def stop(self) -> None:
        self._source.stop()
