"""The camera's picture with boxes as a stream of JPEGs (MJPEG), for programs that show a camera: Home Assistant, VLC, OBS."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from litekiln_pi.frames import Seen
from litekiln_pi.server import snapshots
from litekiln_pi.server.answers import Refused
from litekiln_pi.server.counts_only import refuse_pictures
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.rooms import MOVING
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import Standing
from litekiln_pi.server.streaming import Places

BOUNDARY = "litekiln-frame"


class MovingPictures:
    """Each frame is drawn and encoded once, for all who watch."""

    def __init__(self, hub: Hub, settings: Settings, standing: Standing) -> None:
        self._hub, self._settings, self._standing = hub, settings, standing
        self._places = Places(settings.limits.moving_pictures, "streams of pictures")
        self._drawing = asyncio.Lock()
        self._drawn: tuple[Seen, bytes] | None = None

    def routes(self) -> list[Route]:
        return [Route(MOVING, self.stream)]

    async def stream(self, request: Request) -> Response:
        refuse_pictures(self._settings)
        rate = _rate(request.query_params.get("rate", ""), self._settings.limits.moving_rate)
        if request.method == "HEAD":
            return Response(media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        return self._places.stream(self._parts(rate), f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    async def _parts(self, rate: float) -> AsyncIterator[bytes]:
        number, due = -1, 0.0
        while not self._hub.closed:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            seen = await self._hub.newer(number, self._settings.limits.poll_seconds)
            if seen is None:
                continue
            number, due = seen.number, time.monotonic() + 1 / rate
            jpeg = await self._jpeg(seen)
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            yield head.encode() + jpeg + b"\r\n"

    async def _jpeg(self, seen: Seen) -> bytes:
        async with self._drawing:
            if self._drawn is None or self._drawn[0] is not seen:
                shown = tuple(each for each in seen.detections if each.score >= self._settings.threshold)
                told, wrong = replace(seen, detections=shown), self._standing.wrong_results
                self._drawn = seen, await self._hub.work(lambda: snapshots.drawn(told, wrong=wrong))
            return self._drawn[1]


def _rate(text: str, most: float) -> float:
    try:
        value = float(text) if text else most
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 1000:
        raise Refused(400, f"rate={text[:40]} is not a number of frames a second from 0.1 to {most:g}")
    return min(value, most)
