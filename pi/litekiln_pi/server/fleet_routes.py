"""The page of the room's Pis, and the same for programs. It can be served without a model and a camera too: `fleet`."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from litekiln_pi.errors import PiError
from litekiln_pi.fleet.room import Room
from litekiln_pi.server.answers import Refused, answer
from litekiln_pi.server.guard import Guard
from litekiln_pi.server.page import Pages
from litekiln_pi.server.refusals import HANDLERS
from litekiln_pi.server.settings import Settings


class FleetRoutes:
    def __init__(self, room: Room, pages: Pages) -> None:
        self._room, self._pages = room, pages

    def routes(self) -> list[Route]:
        return [Route("/fleet", self._pages.fleet), Route("/api/fleet", self.told)]

    async def told(self, request: Request) -> Response:
        pictures = request.query_params.get("pictures", "1")
        if pictures not in ("0", "1"):
            raise Refused(400, f"pictures={pictures[:40]} is neither 1 nor 0")
        return answer(self._room.as_data(await self._room.look(), pictures=pictures == "1"))


class FleetApp:
    """The page alone."""

    over: PiError | None = None  # it ends only when it is stopped

    def __init__(self, room: Room, settings: Settings) -> None:
        pages = Pages()
        self.routes = [
            Route("/", pages.fleet),
            *FleetRoutes(room, pages).routes(),
            Route("/static/{name}", pages.file),
            Route("/healthz", self._health),
        ]
        starlette = Starlette(routes=self.routes, exception_handlers=HANDLERS)
        starlette.router.redirect_slashes = False
        self._guarded: ASGIApp = Guard(starlette, settings, self.answered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    async def _health(self, _: Request) -> Response:
        return answer({"status": "ok", "problem": ""})

    def answered(self, scope: Scope, code: int) -> None:
        """It has no metrics."""

    def refused(self, status: int) -> None:
        """It has no metrics."""

    def close(self) -> None:
        """Nobody waits for frames here."""
