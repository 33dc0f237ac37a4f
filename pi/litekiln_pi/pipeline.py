"""From a source to detections. Capture, preparation, inference and delivery overlap, each in its own thread; no queue builds up.

A live source's newest frame wins: while the network is busy, each new frame replaces the one before, and the last of them is
decoded just before the network is free. Every picture of a file source is looked at, in order; a pause makes them wait.
"""

import statistics
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln_pi.decoding import decode
from litekiln_pi.errors import BadPicture, SourceLost
from litekiln_pi.frames import Newest, Rate, Seen, Shot
from litekiln_pi.model import Model, Prepared
from litekiln_pi.motion import Motion
from litekiln_pi.pace import Pace
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.sources import Source

RETRY_SECONDS = 1.0  # between two tries to open a source that is lost
PAUSE_SECONDS = 0.1  # between two checks whether a pause is over
# How long before the network is free the next frame is taken, in times of decoding and of inference. Too early, and the frame is
# old; too late, and the network waits. Times vary, so it is more than decoding takes.
AHEAD_OF_DECODING, AHEAD_OF_INFERENCE = 2.0, 0.1
# A frame is current for so many seconds, or for so many times as long as frames usually take to come and to be looked at.
CURRENT_SECONDS, CURRENT_TIMES, USUAL_OF = 5.0, 3, 5
# The network is stuck when one frame takes so many seconds, and so many times as long as the frame before.
STUCK_SECONDS, STUCK_TIMES = 60.0, 20
LOWEST = 0.05  # detections with lower scores are dropped
Listener = Callable[[Seen], object]


@dataclass(frozen=True)
class _Came:
    """A frame with its number and the time of its arrival, by two clocks."""

    number: int
    time: float
    clock: float
    shot: Shot


@dataclass(frozen=True)
class _Ready:
    """A frame that is prepared for the network."""

    came: _Came
    width: int
    height: int
    prepared: Prepared
    decoding: float


@dataclass(frozen=True)
class _Done:
    """A frame's raw detections, and when inference started and ended."""

    ready: _Ready
    found: Any
    started: float
    ended: float


class Counters:
    """Counts since the start, for the metrics."""

    def __init__(self) -> None:
        self.captured = self.looked_at = self.damaged = self.lost = self.still = 0


class Pipeline:
    """The loop. It calls its listeners with each frame that was looked at; while one of them is busy, the next frame waits."""

    def __init__(
        self,
        model: Model,
        source: Source,
        *,
        threshold: float = LOWEST,
        say: Say = to_stderr,
        pace: Pace | None = None,
        motion: Motion | None = None,
    ) -> None:
        self.model, self.source, self.threshold = model, source, threshold
        self.pace, self.motion = pace or Pace(), motion or Motion()
        self.counters, self.captured_rate, self.rate = Counters(), Rate(), Rate()
        self.problem = ""  # why there are no frames, while there are none
        self.latest: Seen | None = None
        self.ended = False  # the source gave its last frame
        self._say = say
        self._came: Newest[_Came] = Newest()
        self._asked: Newest[float] = Newest()  # when the network will need the next prepared frame
        self._ready: Newest[_Ready] = Newest()
        self._done: Newest[_Done] = Newest()
        self._listeners: list[Listener] = []
        self._stopping, self._paused = threading.Event(), threading.Event()
        self._paused_at = 0.0
        self._gaps: deque[float] = deque(maxlen=USUAL_OF)  # seconds between the last frames
        self._threads = [
            threading.Thread(target=self._guarded, args=(part,), name=part.__name__, daemon=True) for part in self._parts()
        ]
        self.failure = ""  # the part that died: a bug
        self._since, self._usual = 0.0, 0.0  # when the network began with its frame (0: it has none), and how long it took before
        self.at_end: Callable[[], None] = lambda: None  # called when no more frames will come

    def _parts(self) -> tuple[Callable[[], None], ...]:
        return self._capture, self._prepare, self._infer, self._tell

    def listen(self, listener: Listener) -> Callable[[], None]:
        """A function that ends what this starts: `listener` is called with each frame from now on."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End within the time of one frame, or of one wait for a source."""
        self._stopping.set()
        self.source.stop()
        for place in (self._came, self._asked, self._ready, self._done):
            place.close()
        self.at_end()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end: of a file, or after stop()."""
        for thread in self._threads:
            thread.join(timeout)

    @property
    def paused(self) -> bool:
        return self._paused.is_set()

    @paused.setter
    def paused(self, value: bool) -> None:
        if value and not self.paused:
            self._paused_at = time.monotonic()
        (self._paused.set if value else self._paused.clear)()

    @property
    def current_for(self) -> float:
        """How many seconds a frame shows what is there now. An odd gap, such as a pause, doesn't change it."""
        usual = statistics.median(self._gaps) if self._gaps else 0.0
        latency = self.latest.milliseconds["latency"] / 1000 if self.latest else 0.0
        return max(CURRENT_SECONDS, CURRENT_TIMES * max(usual, latency))

    def is_current(self, seen: Seen) -> bool:
        """Whether a frame shows what is there now. What was current when a pause began stays so until the pause ends."""
        now = self._paused_at if self.paused else time.monotonic()
        return not self.failure and now - seen.clock <= self.current_for

    @property
    def alive(self) -> bool:
        """Whether all parts run; a missing source is not a failure."""
        return not self.failure and all(thread.is_alive() for thread in self._threads)

    @property
    def resting(self) -> bool:
        """Whether a camera's frames are dropped because nobody asks for what is in them."""
        return self.source.live and self.pace.resting

    @property
    def stuck(self) -> str:
        """The part that neither goes on nor ends: a library may wait for ever, without an error. "" while none is."""
        since = self._since
        seconds = time.monotonic() - since if since else 0.0
        return f"_infer: a frame has taken {seconds:.0f} s" if seconds > max(STUCK_SECONDS, STUCK_TIMES * self._usual) else ""

    @property
    def dropped(self) -> int:
        return self._came.dropped

    def _guarded(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:
            traceback.print_exc()
            self.failure = f"{part.__name__}: {error}"
        finally:
            after = {self._capture: self._came.close, self._prepare: self._ready.close, self._infer: self._done.close}
            after.get(part, self.at_end)()

    def _capture(self) -> None:
        while not self._stopping.is_set():
            try:
                for shot in self.source.shots():
                    self._take(shot)
                    if self._stopping.is_set():
                        return
                self.ended = not self._stopping.is_set()
                return
            except SourceLost as error:
                if not self.source.live:
                    raise
                self._lose(str(error))
            except Exception as error:
                if not self.source.live:
                    raise
                self._lose(self._unforeseen(error))

    def _take(self, shot: Shot) -> None:
        self.counters.captured += 1
        self.captured_rate.count()
        if self.problem:
            self._say(f"{self.source.name}: frames arrive again")
            self.problem = ""
        if not self._unpaused() or self.resting:
            return
        came = _Came(self.counters.captured, time.time(), time.monotonic(), shot)
        if self.source.live:
            self._came.put(came)
        else:
            self._came.put_when_free(came)

    def _unpaused(self) -> bool:
        """Whether to look at this frame. During a pause a camera's frames are dropped, and a file's wait."""
        while self._paused.is_set():
            if self.source.live or self._stopping.wait(PAUSE_SECONDS):
                return False
        return True

    def _unforeseen(self, error: Exception) -> str:
        """The text for a bug that a camera's data triggers; the loop goes on. The error's own text may contain a password."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{self.source.name}: it can't be read: {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"

    def _lose(self, why: str) -> None:
        if why != self.problem:
            self._say(why)
            self.problem = why
            self.counters.lost += 1
        self._stopping.wait(RETRY_SECONDS)

    def _prepare(self) -> None:
        decoding = 0.0
        while (free := self._asked.take()) is not None:
            early = free - AHEAD_OF_DECODING * decoding - time.monotonic()
            if self.source.live and early > 0:
                self._stopping.wait(early)
            self.pace.wait(self._stopping)
            ready = self._next_prepared()
            if ready is None:
                return
            decoding = ready.decoding
            self._ready.put_when_free(ready)

    def _next_prepared(self) -> _Ready | None:
        """The next frame that can be decoded; None when no more will come."""
        while (came := self._came.take()) is not None:
            started = time.monotonic()
            try:
                picture, width, height = self._decoded(came.shot)
            except BadPicture as error:
                self._complain(came, error)
                continue
            if self.source.live and not self.motion.worth_a_look(picture):
                self.counters.still += 1
                continue
            prepared = self.model.prepare_quickly(picture) if self.source.live else self.model.prepare(picture)
            return _Ready(came, width, height, prepared, time.monotonic() - started)
        return None

    def _decoded(self, shot: Shot) -> tuple:  # type: ignore[type-arg]
        if shot.picture is not None:
            return shot.picture, shot.picture.width, shot.picture.height
        return decode(shot.jpeg, self.model.size if self.source.live else None)

    def _complain(self, came: _Came, error: BadPicture) -> None:
        """Count a damaged frame; report the first one and every hundredth after it."""
        self.counters.damaged += 1
        if self.counters.damaged % 100 == 1 or not self.source.live:
            self._say(f"{came.shot.name or self.source.name}: frame {came.number}: {error}")

    def _infer(self) -> None:
        self._asked.put(0.0)
        while (ready := self._ready.take()) is not None:
            started = time.monotonic()
            self._since = started
            self._asked.put(started + self._usual * (1 - AHEAD_OF_INFERENCE))
            found = self.model.run(ready.prepared)
            ended = time.monotonic()
            self._since, self._usual = 0.0, ended - started
            self._done.put_when_free(_Done(ready, found, started, ended))

    def _tell(self) -> None:
        while True:
            done = self._done.take()
            if done is None:
                return
            seen = self._seen(done)
            self.counters.looked_at += 1
            self.rate.count()
            if self.latest:
                self._gaps.append(seen.clock - self.latest.clock)
            self.latest = seen
            for listener in list(self._listeners):
                listener(seen)

    def _seen(self, done: _Done) -> Seen:
        ready, came = done.ready, done.ready.came
        took = {"decode": ready.decoding, "inference": done.ended - done.started, "latency": done.ended - came.clock}
        detections = self.model.detections(done.found, ready.width, ready.height, self.threshold)
        milliseconds = {name: value * 1000 for name, value in took.items()}
        return Seen(came.number, came.time, came.shot, ready.width, ready.height, detections, milliseconds, came.clock)
