"""The routes of events: what happened, how many things there are, and the lines and zones that count them."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from litekiln_pi.events.events import Watch
from litekiln_pi.events.settings import MOST_BYTES, Unusable
from litekiln_pi.server.answers import Refused, answer, as_json
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.streaming import Places
from litekiln_pi.server.upload import body


class EventRoutes:
    def __init__(self, hub: Hub, watch: Watch, settings: Settings) -> None:
        self._hub, self._watch, self._limits = hub, watch, settings.limits
        self._places = Places(settings.limits.event_streams, "streams of events")

    def routes(self) -> list[Route]:
        return [
            Route("/api/events", self.events),
            Route("/api/events/settings", self.settings),
            Route("/api/events/settings", self.change, methods=["POST"]),
        ]

    async def events(self, request: Request) -> Response:
        """The latest events and the counts; or each event when it happens."""
        if "text/event-stream" in request.headers.get("accept", ""):
            after = request.query_params.get("after") or request.headers.get("last-event-id") or str(self._watch.latest)
            number = _number(after)
            if request.method == "HEAD":  # it would wait without sending anything
                return Response(media_type="text/event-stream")
            return self._places.stream(self._stream(number), "text/event-stream")
        number = _number(request.query_params.get("after") or "0")
        latest = self._watch.latest
        told = [each.as_data() for each in self._watch.after(number) if each.number <= latest]
        standing = {"resting": self._hub.pipeline.resting, "wrong_results": self._watch.wrong}
        return answer({"latest": latest, "events": told, "counts": self._watch.counts(), **standing})

    async def _stream(self, number: int) -> AsyncIterator[bytes]:
        yield b"retry: 1000\n\n"
        frame = -1
        while not self._hub.closed:
            seen = await self._hub.newer(frame, self._limits.comment_seconds)
            frame = seen.number if seen else frame
            for event in self._watch.after(number):
                number = event.number
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (number, event.kind.encode(), as_json(event.as_data()))
            if seen is None:
                yield b": no new frame\n\n"

    async def settings(self, _: Request) -> Response:
        return answer({"settings": self._watch.settings.as_data(), "has_file": self._watch.has_file})

    async def change(self, request: Request) -> Response:
        """Use other settings from now on. They are kept in the file, if there is one that can be written."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "send the settings as JSON with Content-Type: application/json")
        text = await body(request, MOST_BYTES, self._limits.body_seconds)
        try:
            why = await self._hub.work(lambda: self._watch.change(text))
        except Unusable as error:
            raise Refused(400, str(error)) from None
        told: dict[str, Any] = {"settings": self._watch.settings.as_data(), "has_file": self._watch.has_file}
        return answer({**told, "kept": not why, "why": why})


def _number(text: str) -> int:
    if len(text) > 15 or not text.isascii() or not text.isdigit():
        raise Refused(400, f"after={text[:40]} is no event's number")
    return int(text)
