"""Frames on their way from a source to the page, and `Newest`, where only the newest one waits."""

import threading
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, TypeVar

from PIL import Image

Item = TypeVar("Item")


@dataclass(frozen=True)
class Shot:
    """A source's frame: a JPEG as received, or an RGB picture. `name` is set for files."""

    jpeg: bytes = b""
    picture: Image.Image | None = None
    name: str = ""


@dataclass(frozen=True)
class Detection:
    """A detected object. The box is (left, top, right, bottom) in pixels of the original picture, and inside it."""

    name: str
    kind: int
    score: float
    box: tuple[float, float, float, float]

    def as_data(self) -> dict[str, Any]:
        return {"name": self.name, "class": self.kind, "score": round(self.score, 4), "box": [round(side, 1) for side in self.box]}


@dataclass(frozen=True)
class Seen:
    """A frame with its detections, its size and the time that each part took."""

    number: int
    time: float  # when the frame arrived, in seconds since 1970
    shot: Shot
    width: int
    height: int
    detections: tuple[Detection, ...]
    milliseconds: dict[str, float]  # decode, inference, latency (from the frame's arrival to its detections)
    # When it arrived, by a clock that never jumps: a Pi has no battery, and sets its time when it finds a network.
    clock: float = field(default_factory=monotonic)

    @property
    def age(self) -> float:
        """Seconds since the frame arrived."""
        return monotonic() - self.clock

    def as_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {"frame": self.number, "time": round(self.time, 3), "width": self.width, "height": self.height}
        if self.shot.name:
            data["file"] = self.shot.name
        found = [each.as_data() for each in self.detections]
        return {**data, "milliseconds": {name: round(value, 2) for name, value in self.milliseconds.items()}, "detections": found}


class Newest(Generic[Item]):
    """A place for one item. A newer item replaces one that nobody took, so no queue builds up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Store the newest item. One that nobody took is dropped and counted."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify_all()

    def put_when_free(self, item: Item) -> bool:
        """Store an item once the place is free, so that none is dropped. False when it was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return False
            self._item = item
            self._changed.notify_all()
            return True

    def wait_until_free(self) -> bool:
        """True when the next item can be put; False when it was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            return not self._closed

    def take(self, timeout: float | None = None) -> Item | None:
        """The newest item, as soon as there is one; None after the timeout, or when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Accept no more items. The stored one can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Rate:
    """Events per second, over the last few seconds."""

    SPAN = 5.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: deque[float] = deque()

    def count(self) -> None:
        with self._lock:
            self._times.append(monotonic())
            self._forget()

    @property
    def value(self) -> float:
        with self._lock:
            self._forget()
            if len(self._times) < 2:
                return 0.0
            span = self._times[-1] - self._times[0]
            return (len(self._times) - 1) / span if span else 0.0

    def _forget(self) -> None:
        oldest = monotonic() - self.SPAN
        while self._times and self._times[0] < oldest:
            self._times.popleft()
