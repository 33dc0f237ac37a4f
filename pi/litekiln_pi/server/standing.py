"""What the server says about itself. Page, state, health check, metrics and answers ask here, so that all say the same."""

from typing import Any

from litekiln_pi.frames import Seen
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server.answers import Refused

ENDED = "the source has ended"
WRONG = "this machine computes other results than were verified: don't trust what you see"


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
    def problem(self) -> str:
        """Why no frames arrive; "" while they do."""
        pipeline = self._pipeline
        if pipeline.failure:
            return f"a part of the program has failed: {pipeline.failure}"
        return pipeline.problem or ("" if pipeline.alive else ENDED)

    @property
    def status(self) -> str:
        """The same in one or two words."""
        pipeline, problem = self._pipeline, self.problem
        if pipeline.failure or not (pipeline.alive or problem):
            return "failed"
        return "wrong results" if self.wrong_results else "ok"

    @property
    def healthy(self) -> bool:
        """Whether the health check passes. A missing camera fails nothing: restarting the container wouldn't bring it back."""
        return self.status not in ("failed", "wrong results")

    def latest(self) -> Seen:
        seen = self._pipeline.latest
        if seen is None:
            raise Refused(503, self.problem or "no frame has been looked at yet", retry=1)
        return seen

    def told(self, seen: Seen, threshold: float = 0.0) -> dict[str, Any]:
        """A frame's data for an answer, with the detections that reach the threshold."""
        found = [each.as_data() for each in seen.detections if each.score >= threshold]
        return {**seen.as_data(), "wrong_results": self.wrong_results, "detections": found}
