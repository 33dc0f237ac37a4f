"""The camera's routes: frames, detections, the loop's state, and snapshots."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from litekiln_pi.frames import Seen
from litekiln_pi.model import HIDDEN, Bundle
from litekiln_pi.server import snapshots
from litekiln_pi.server.answers import Refused, answer, as_json, threshold_of
from litekiln_pi.server.counts_only import refuse_pictures
from litekiln_pi.server.hub import Hub, chosen
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.upload import body

FRAME_HEADER = "x-litekiln-frame"
ENDED = "the source has ended"
MOST_STATE = 1000  # bytes of a request that changes the state


class CameraRoutes:
    def __init__(self, hub: Hub, bundle: Bundle, settings: Settings) -> None:
        self._hub, self._bundle, self._settings, self._streams = hub, bundle, settings, 0

    async def frame(self, request: Request) -> Response:
        """The newest frame with its own detections, as soon as it is not the one that the visitor has."""
        refuse_pictures(self._settings)
        after, threshold = _number(request.query_params.get("after", "")), threshold_of(request, self._settings.threshold)
        seen = await self._hub.newer_for(request, after, self._settings.limits.poll_seconds)
        if seen is None:
            return Response(status_code=204)
        headers = {FRAME_HEADER: as_json(chosen(seen, threshold)).decode()}
        return Response(await self._hub.jpeg(seen), 200, headers, "image/jpeg")

    async def detections(self, request: Request) -> Response:
        threshold = threshold_of(request, self._settings.threshold)
        if "text/event-stream" not in request.headers.get("accept", ""):
            await self._hub.awake()
            return answer(chosen(self._latest(), threshold))
        if self._streams >= self._settings.limits.streams:
            raise Refused(503, "too many event streams are open already", retry=10)
        self._streams += 1
        return _Stream(self._events(threshold), self._stream_ended)

    async def _events(self, threshold: float) -> AsyncIterator[bytes]:
        number = -1
        yield b"retry: 1000\n\n"
        while not self._hub.closed:
            seen = await self._hub.newer(number, self._settings.limits.comment_seconds)
            if seen is None:
                yield b": no new frame\n\n"
            else:
                number = seen.number
                yield b"id: %d\ndata: %s\n\n" % (number, as_json(chosen(seen, threshold)))

    def _stream_ended(self) -> None:
        self._streams -= 1

    def _latest(self) -> Seen:
        seen = self._hub.pipeline.latest
        if seen is None:
            raise Refused(503, self.problem or "no frame has been looked at yet", retry=1)
        return seen

    @property
    def problem(self) -> str:
        """Why no frames arrive; "" while they do."""
        pipeline = self._hub.pipeline
        if pipeline.failure:
            return f"a part of the program has failed: {pipeline.failure}"
        return pipeline.problem or ("" if pipeline.alive else ENDED)

    async def state(self, _: Request) -> Response:
        return answer(self._state())

    def _state(self) -> dict[str, Any]:
        pipeline = self._hub.pipeline
        counters, latest = pipeline.counters, pipeline.latest
        return {
            "model": self._bundle.name,
            "labels": self._bundle.names,
            "kinds": [kind for kind, name in enumerate(self._bundle.labels) if name != HIDDEN],
            "source": pipeline.source.name,
            "problem": self.problem,
            "paused": pipeline.paused,
            "resting": pipeline.resting,
            "threshold": self._settings.threshold,
            "threads": pipeline.model.threads,
            "fps": round(pipeline.rate.value, 2),
            "captured_fps": round(pipeline.captured_rate.value, 2),
            "captured": counters.captured,
            "looked_at": counters.looked_at,
            "dropped": pipeline.dropped,
            "damaged": counters.damaged,
            "frame": latest.number if latest else None,
            "counts_only": self._settings.counts_only,
            "keeps_snapshots": self._settings.snapshots is not None,
        }

    async def change(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, 'send JSON with Content-Type: application/json, such as {"paused": true}')
        try:
            wanted = json.loads(await body(request, MOST_STATE, self._settings.limits.body_seconds))
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(wanted, dict) or set(wanted) != {"paused"} or not isinstance(wanted["paused"], bool):
            raise Refused(400, 'send {"paused": true} or {"paused": false}')
        self._hub.pipeline.paused = wanted["paused"]
        return answer(self._state())

    async def snapshot(self, request: Request) -> Response:
        refuse_pictures(self._settings)
        threshold, hidden = threshold_of(request, self._settings.threshold), set(request.query_params.getlist("hide"))
        await self._hub.awake()
        seen = self._latest()
        shown = tuple(each for each in seen.detections if each.score >= threshold and each.name not in hidden)
        seen = replace(seen, detections=shown)
        jpeg = await self._hub.work(lambda: self._keep(seen))
        headers = {
            "content-disposition": f'attachment; filename="{snapshots.name_of(seen)}.jpg"',
            FRAME_HEADER: as_json(seen.as_data()).decode(),
        }
        return Response(jpeg, 200, headers, "image/jpeg")

    def _keep(self, seen: Seen) -> bytes:
        jpeg = snapshots.drawn(seen)
        if self._settings.snapshots is not None:
            snapshots.keep(self._settings.snapshots, seen, jpeg)
        return jpeg

    async def health(self, _: Request) -> Response:
        """Whether all parts run. A missing camera is not a failure: restarting the container wouldn't bring it back."""
        pipeline, problem = self._hub.pipeline, self.problem
        well = pipeline.alive or problem == ENDED
        return answer({"status": "ok" if well else "failed", "problem": problem}, 200 if well else 503)


class _Stream(StreamingResponse):
    """An event stream; `ended` is called at its end in any case."""

    def __init__(self, events: AsyncIterator[bytes], ended: Any) -> None:
        super().__init__(events, headers={"x-accel-buffering": "no"}, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _number(text: str) -> int:
    if text in ("", "-1"):  # none is known
        return -1
    if len(text) > 15 or not text.isascii() or not text.isdigit():
        raise Refused(400, f"after={text[:40]} is no frame's number")
    return int(text)
