"""What the server says about itself. Page, state, health check, metrics and answers ask here, so that all say the same."""

from typing import Any

from litekiln_pi.errors import LoopFailed, PiError, SourceEnded
from litekiln_pi.frames import Seen
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.saying import in_words
from litekiln_pi.server.answers import Refused

ENDED = "the source has ended"
WRONG = "this machine computes other results than were verified: don't trust what you see"
NOT_FOR_TRAINING = "nothing is kept for training while this machine computes wrong results: its boxes would teach them"


class Standing:
    """Whether the loop runs, whether its frames are current, and whether its results are right."""

    def __init__(self, pipeline: Pipeline, wrong: str = "") -> None:
        self._pipeline, self._wrong = pipeline, wrong

    @property
    def wrong_results(self) -> bool:
        """Whether the selftest failed at the start."""
        return bool(self._wrong)

    @property
    def warning(self) -> str:
        """What is wrong with the results; "" while they are as verified."""
        return f"{WRONG} ({self._wrong})" if self._wrong else ""

    @property
    def _failure(self) -> str:
        return self._pipeline.failure or self._pipeline.stuck

    @property
    def over(self) -> PiError | None:
        """Why the loop will never go on, so that the program has to end; None while it may: a missing camera may come back."""
        pipeline = self._pipeline
        if self._failure:
            return LoopFailed(
                f"a part of the program has failed: {self._failure}",
                "this is a bug: please report it with the lines above. Docker's --restart unless-stopped starts it again",
            )
        if pipeline.ended and pipeline.source.live:
            return SourceEnded(
                f"{pipeline.source.name} has ended, so no more frames can come",
                "start it again together with what sends the frames",
            )
        return None

    @property
    def current(self) -> bool:
        """Whether the newest frame shows what is there now, or what was there when the pause began."""
        seen = self._pipeline.latest
        return seen is not None and not self._failure and self._pipeline.is_current(seen)

    @property
    def problem(self) -> str:
        """Why there are no current frames, or soon won't be; "" while they come."""
        return self._cause or ("" if self.current or self._pipeline.resting else self._stale())

    @property
    def _cause(self) -> str:
        over = self.over
        return str(over) if over else ENDED if self._pipeline.ended else self._pipeline.problem

    def _stale(self) -> str:
        pipeline, seen = self._pipeline, self._pipeline.latest
        damaged = pipeline.counters.damaged if pipeline.captured_rate.value else 0
        why = f": frames come, but are damaged ({damaged} so far)" if damaged else ""
        return f"the newest frame is {in_words(seen.age)} old{why}" if seen else f"no frame has been looked at yet{why}"

    @property
    def status(self) -> str:
        """The same in one or two words."""
        if self._failure:
            return "failed"
        if self.wrong_results:
            return "wrong results"
        return self.frames if self.frames != "current" else "ok"

    @property
    def frames(self) -> str:
        """Whether frames come: `current`, or why not: `paused`, `resting`, `waiting`, `ended` or `failed`."""
        pipeline = self._pipeline
        if self._failure:
            return "failed"
        if pipeline.ended:
            return "ended"
        if pipeline.paused:
            return "paused"
        if pipeline.resting and not pipeline.problem:
            return "resting"
        return "current" if self.current and not pipeline.problem else "waiting"

    @property
    def healthy(self) -> bool:
        """Whether the health check passes. A missing camera fails nothing: restarting the container wouldn't bring it back."""
        return self.status not in ("failed", "wrong results")

    def newest(self) -> Seen:
        """The newest frame. Refused when there is none, or when it no longer shows what is there now."""
        seen = self._pipeline.latest
        if seen is None or not self.current:
            cause = self._cause
            raise Refused(503, "; ".join(filter(None, (cause, self._stale() if seen or not cause else ""))), retry=1)
        return seen

    @property
    def age(self) -> float | None:
        """Seconds since the newest frame arrived; None before the first."""
        seen = self._pipeline.latest
        return round(seen.age, 2) if seen else None

    def told(self, seen: Seen, threshold: float = 0.0) -> dict[str, Any]:
        """A frame's data for an answer, with the detections that reach the threshold."""
        more = {"age": round(seen.age, 2), "paused": self._pipeline.paused, "wrong_results": self.wrong_results}
        found = [each.as_data() for each in seen.detections if each.score >= threshold]
        return {**seen.as_data(), **more, "detections": found}

    def told_without_camera(self, seen: Seen) -> dict[str, Any]:
        """The data of a visitor's own picture: it has neither number nor age."""
        data = {**seen.as_data(), "wrong_results": self.wrong_results}
        del data["frame"]
        return data

    def silence(self) -> dict[str, Any]:
        """What a stream of events says when no current frames come."""
        return {"frames": self.frames, "problem": self.problem, "age": self.age}
