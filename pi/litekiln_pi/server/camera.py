"""The camera's routes: frames, detections, the loop's state, and snapshots."""

import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from litekiln_pi.collecting import Collector
from litekiln_pi.frames import Seen
from litekiln_pi.model import HIDDEN, Bundle
from litekiln_pi.server import snapshots
from litekiln_pi.server.answers import Refused, answer, as_json, threshold_of
from litekiln_pi.server.counts_only import refuse_pictures
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.rooms import EVENTS
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import NOT_FOR_TRAINING, Standing
from litekiln_pi.server.upload import body
from litekiln_pi.training import FOLDER, Training

FRAME_HEADER = "x-litekiln-frame"
MOST_HEADER = 2800  # characters: proxies take about 4000 bytes for all headers together
FORM = "multipart/form-data"
BOUNDARY = secrets.token_hex(16)  # in no picture, since nobody can guess it
NOTICE_SECONDS = 1.0  # between two looks of an event stream at whether frames still come
MOST_STATE = 1000  # bytes of a request that changes the state


class CameraRoutes:
    def __init__(self, hub: Hub, bundle: Bundle, settings: Settings, standing: Standing) -> None:
        self._hub, self._bundle, self._settings, self._standing, self._streams = hub, bundle, settings, standing, 0
        self._training: Training | None = None
        if settings.snapshots is not None:
            self._training = Training(settings.snapshots / FOLDER, bundle.name, settings.most_for_training)
            if settings.collect and not standing.wrong_results:
                collector = Collector(self._training, settings.collect, settings.threshold, snapshots.name_of)
                collector.start(lambda: hub.closed)
                hub.pipeline.listen(collector.heard)

    async def frame(self, request: Request) -> Response:
        """The newest frame with its own detections, as soon as it is not the one that the visitor has."""
        refuse_pictures(self._settings)
        after, threshold = _number(request.query_params.get("after", "")), threshold_of(request, self._settings.threshold)
        seen = await self._hub.newer_for(request, after, self._settings.limits.poll_seconds)
        if seen is None:
            return Response(status_code=204)
        told, jpeg = self._standing.told(seen, threshold), await self._hub.jpeg(seen)
        if FORM in request.headers.get("accept", ""):
            return Response(_form(told, jpeg), media_type=f"{FORM}; boundary={BOUNDARY}")
        return Response(jpeg, 200, {FRAME_HEADER: _for_header(told)}, "image/jpeg")

    async def detections(self, request: Request) -> Response:
        threshold = threshold_of(request, self._settings.threshold)
        if EVENTS not in request.headers.get("accept", ""):
            await self._hub.awake()
            return answer(self._standing.told(self._standing.newest(), threshold))
        if request.method == "HEAD":  # nobody reads what would be streamed
            return Response(media_type=EVENTS)
        if self._streams >= self._settings.limits.streams:
            raise Refused(503, "too many event streams are open already", retry=10)
        self._streams += 1
        return _Stream(self._events(threshold), self._stream_ended)

    async def _events(self, threshold: float) -> AsyncIterator[bytes]:
        """Each new frame; once when no current ones come, why; and comments, so that a proxy doesn't take silence for the end."""
        number, frames, silent = -1, "current", 0.0
        seconds = min(NOTICE_SECONDS, self._settings.limits.comment_seconds)
        yield b"retry: 1000\n\n"
        while not self._hub.closed:
            seen = await self._hub.newer(number, seconds)
            silent = 0.0 if seen else silent + seconds
            if seen:
                number, frames = seen.number, "current"
                yield b"id: %d\ndata: %s\n\n" % (number, as_json(self._standing.told(seen, threshold)))
            elif self._standing.frames != frames:
                frames = self._standing.frames
                yield b"event: stale\ndata: %s\n\n" % as_json(self._standing.silence())
            elif silent >= self._settings.limits.comment_seconds:
                silent = 0.0
                yield b": no new frame\n\n"

    def _stream_ended(self) -> None:
        self._streams -= 1

    async def state(self, request: Request) -> Response:
        return await self._change(request) if request.method == "POST" else answer(self._state())

    def _state(self) -> dict[str, Any]:
        pipeline = self._hub.pipeline
        counters, latest = pipeline.counters, pipeline.latest
        return {
            "name": self._settings.name,
            "model": self._bundle.name,
            "labels": self._bundle.names,
            "kinds": [kind for kind, name in enumerate(self._bundle.labels) if name != HIDDEN],
            "source": pipeline.source.name,
            "status": self._standing.status,
            "frames": self._standing.frames,
            "problem": self._standing.problem,
            "warning": self._standing.warning,
            "wrong_results": self._standing.wrong_results,
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
            "age": self._standing.age,
            "current": self._standing.current,
            "current_for": round(pipeline.current_for, 1),
            "counts_only": self._settings.counts_only,
            "keeps_snapshots": self._settings.snapshots is not None,
        }

    async def _change(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, 'send JSON with Content-Type: application/json, such as {"paused": true}')
        try:
            wanted = json.loads(await body(request, MOST_STATE, self._settings.limits.header_seconds))
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
        seen = self._standing.newest()
        if _for_training(request):
            return answer(await self._keep_for_training(seen, threshold))
        shown = tuple(each for each in seen.detections if each.score >= threshold and each.name not in hidden)
        seen = replace(seen, detections=shown)
        told = self._standing.told(seen)
        jpeg, name = await self._hub.work(lambda: self._keep(seen, told))
        headers = {
            "content-disposition": f'attachment; filename="{name}.jpg"',
            FRAME_HEADER: _for_header(told),
        }
        return Response(jpeg, 200, headers, "image/jpeg")

    def _keep(self, seen: Seen, told: dict[str, Any]) -> tuple[bytes, str]:
        """The picture and its name."""
        jpeg, name = snapshots.drawn(seen, wrong=self._standing.wrong_results), snapshots.name_of(seen)
        if self._settings.snapshots is None:
            return jpeg, name
        return jpeg, snapshots.keep(self._settings.snapshots, name, jpeg, told)

    async def _keep_for_training(self, seen: Seen, threshold: float) -> dict[str, Any]:
        """What was kept. Names that the visitor hides are kept too: a thing without its box would teach that it is none."""
        training = self._training
        if training is None:
            raise Refused(409, "there is no folder for pictures: start the server with --snapshots DIR")
        if self._standing.wrong_results:
            raise Refused(409, NOT_FOR_TRAINING)
        seen = replace(seen, detections=tuple(each for each in seen.detections if each.score >= threshold))
        name, pictures = await self._hub.work(lambda: (snapshots.keep_for_training(training, seen), training.count))
        return {"kept": name, "detections": len(seen.detections), "pictures": pictures, "most": training.most}

    async def health(self, _: Request) -> Response:
        standing = self._standing
        told = {"status": standing.status, "problem": standing.problem or standing.warning}
        return answer(told, 200 if standing.healthy else 503)


class _Stream(StreamingResponse):
    """An event stream; `ended` is called at its end in any case."""

    def __init__(self, events: AsyncIterator[bytes], ended: Any) -> None:
        super().__init__(events, headers={"x-accel-buffering": "no"}, media_type=EVENTS)
        self._ended = ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def _form(told: dict[str, Any], jpeg: bytes) -> bytes:
    """A frame's data and its picture as one body, which browsers and libraries can read."""
    parts = (("frame", "", "application/json", as_json(told)), ("picture", '; filename="frame.jpg"', "image/jpeg", jpeg))
    head = '--{}\r\nContent-Disposition: form-data; name="{}"{}\r\nContent-Type: {}\r\n\r\n'
    body = b"".join(head.format(BOUNDARY, name, more, kind).encode() + data + b"\r\n" for name, more, kind, data in parts)
    return body + f"--{BOUNDARY}--\r\n".encode()


def _for_header(told: dict[str, Any]) -> str:
    """A frame's data, short enough for a header: the best detections, and how many were left out."""
    found = sorted(told["detections"], key=lambda each: -each["score"])
    text, kept = as_json(told).decode(), len(found)
    while len(text) > MOST_HEADER and kept:
        kept -= 1
        text = as_json({**told, "detections": found[:kept], "left_out": len(found) - kept}).decode()
    return text


def _for_training(request: Request) -> bool:
    purpose = request.query_params.get("for", "")
    if purpose not in ("", "training"):
        raise Refused(400, f"for={purpose[:40]} is not training")
    return purpose == "training"


def _number(text: str) -> int:
    if text in ("", "-1"):  # none is known
        return -1
    if len(text) > 15 or not text.isascii() or not text.isdigit():
        raise Refused(400, f"after={text[:40]} is no frame's number")
    return int(text)
