"""Checks around every request: who may ask, how many at a time, and which headers an answer gets."""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from litekiln_pi.server.answers import SAFE_HEADERS, Refused, refusal
from litekiln_pi.server.entry import Entry
from litekiln_pi.server.names import is_ours, name_in
from litekiln_pi.server.rooms import Rooms
from litekiln_pi.server.settings import Settings

FOREIGN = "this request comes from another site's page"


class Guard:
    """Wraps the whole application. `answered` is told the status of each answer."""

    def __init__(self, app: ASGIApp, settings: Settings, answered: Callable[[Scope, int], None]) -> None:
        self._app, self._answered = app, answered
        self._entry = Entry(settings) if settings.token else None
        self._names = settings.hostnames
        self.rooms = Rooms(settings.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        code = 500

        async def sending(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            answer = await self._at_the_door(scope, receive)
            if answer:
                await answer(scope, receive, sending)
                return
            with self.rooms.place(scope):
                await self._app(scope, receive, sending)
        except Refused as error:  # by the rooms: the application answers its own
            await refusal(error.status, str(error), error.retry)(scope, receive, sending)
        finally:
            self._answered(scope, code)

    async def _at_the_door(self, scope: Scope, receive: Receive) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD") and _from_elsewhere(headers):
            return refusal(403, FOREIGN)
        if self._entry:
            return await self._entry.refuse(Request(scope, receive))
        host = headers.get("host", "")
        if not is_ours(host, self._names):
            name = name_in(host)[:60]
            return refusal(403, f"this server isn't known by the name {name}: start it with --hostnames {name}, or with a token")
        return None


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this request. Other programs don't say."""
    site = headers.get("sec-fetch-site")  # not sent to http:// addresses
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:  # such as http://[
        return True
