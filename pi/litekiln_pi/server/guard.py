"""Checks around every request: who may ask, how many at a time, and which headers an answer gets.

The Host header is not checked: a Pi has many names (an address, raspberrypi.local, whatever the router calls it), and any list of
them would be incomplete. So another site's page whose name is made to point here (DNS rebinding) counts as an ordinary visitor;
where visitors aren't trusted, a token keeps them out.
"""

import base64
import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from litekiln_pi.server.answers import SAFE_HEADERS, refusal
from litekiln_pi.server.metrics import Metrics
from litekiln_pi.server.settings import Settings

COOKIE = "litekiln"
HEALTH, MOVING = "/healthz", "/stream.mjpg"
ASK = "this needs the token: open /?token=… in a browser, or send the header 'Authorization: Bearer …'"
FOREIGN = "this request comes from another site's page"
DAYS = 30 * 24 * 3600


class Guard:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._limits, self._metrics = app, settings.limits, metrics
        self._token = settings.token.encode()
        self._pass = hmac.new(self._token, b"litekiln cookie", hashlib.sha256).hexdigest() if settings.token else ""
        self.running = 0

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

        answer = self._at_the_door(scope)
        if answer is None and scope["path"] != HEALTH and self.running >= self._limits.requests:
            answer = refusal(503, "too many requests at the moment", retry=1)
        self.running += 1
        try:
            await (answer or self._app)(scope, receive, sending)
        finally:
            self.running -= 1
            self._metrics.answered(scope, code)

    def _at_the_door(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD") and _from_elsewhere(headers):
            return refusal(403, FOREIGN)
        if not self._token or scope["path"] == HEALTH:
            return None
        if scope["path"] == "/":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given:
                return self._cookie_for(given)
        if scope["path"] == MOVING and self._knows_password(headers):
            return None
        return None if self._known(headers) else self._unknown(scope["path"])

    def _cookie_for(self, given: str) -> Response:
        if not hmac.compare_digest(given.encode(), self._token):
            return self._unknown("/")
        response = RedirectResponse("./", 303)
        response.set_cookie(COOKIE, self._pass, max_age=DAYS, httponly=True, samesite="strict")
        return response

    def _known(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._pass.encode())

    def _knows_password(self, headers: Headers) -> bool:
        """Whether the token is the password, as in http://any:TOKEN@PI/: all that programs that show a camera can send."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        try:
            password = base64.b64decode(given.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return False
        return kind.lower() == "basic" and hmac.compare_digest(password, self._token)

    def _unknown(self, path: str) -> Response:
        response = refusal(401, ASK)
        response.headers["www-authenticate"] = 'Basic realm="litekiln"' if path == MOVING else "Bearer"
        return response


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another site's page sent this request. Other programs don't say."""
    site = headers.get("sec-fetch-site")  # not sent to http:// addresses
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
