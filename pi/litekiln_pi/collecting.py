"""Keep frames for training by themselves: those in which something is as certain or uncertain as `--collect` says."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from litekiln_pi.frames import Newest, Seen
from litekiln_pi.saying import Say, to_stderr
from litekiln_pi.training import Training, TrainingFull

SLICE = 0.5  # seconds between two checks whether to end


@dataclass(frozen=True)
class Rule:
    """Which frames are kept: one in which a score is within the band, at most one in so many seconds."""

    low: float
    high: float
    seconds: float

    def fits(self, seen: Seen) -> bool:
        return any(self.low <= each.score <= self.high for each in seen.detections)


class Collector:
    """Hears each frame and writes some, in a thread of its own: the loop doesn't wait for a card."""

    def __init__(
        self, training: Training, rule: Rule, threshold: float, name_of: Callable[[Seen], str], say: Say = to_stderr
    ) -> None:
        self._training, self._rule, self._name_of, self._say = training, rule, name_of, say
        self._least = min(threshold, rule.low)  # deleting a wrong box is less work than drawing one
        self._chosen: Newest[Seen] = Newest()
        self._due, self._told, self.kept = 0.0, "", 0

    def start(self, ended: Callable[[], bool]) -> None:
        threading.Thread(target=self._work, args=(ended,), name="collect", daemon=True).start()

    def heard(self, seen: Seen) -> None:
        if time.monotonic() >= self._due and self._rule.fits(seen):
            self._due = time.monotonic() + self._rule.seconds
            self._chosen.put(seen)

    def _work(self, ended: Callable[[], bool]) -> None:
        while not ended():
            seen = self._chosen.take(SLICE)
            if seen is not None:
                self._tell(self._keep(seen))

    def _keep(self, seen: Seen) -> str:
        """Why the frame could not be kept; "" when it was."""
        found = tuple(each for each in seen.detections if each.score >= self._least)
        try:
            self._training.keep(replace(seen, detections=found), self._name_of(seen))
        except TrainingFull as error:
            return str(error)
        except OSError as error:
            return f"{self._training.folder}: no picture can be kept for training: {error.strerror or error}"
        self.kept += 1
        return ""

    def _tell(self, problem: str) -> None:
        """Report a problem once, until it changes."""
        if problem and problem != self._told:
            self._say(problem)
        self._told = problem
