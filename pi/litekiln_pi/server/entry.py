"""The token: who knows it gets in. Programs send it as a header; people type it once, and then have a cookie."""

import asyncio
import base64
import hashlib
import hmac
from collections import Counter
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from litekiln_pi.server.answers import POLICY, refusal
from litekiln_pi.server.rooms import MOVING, address_of
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.upload import body

PAGE = Path(__file__).resolve().parent.parent / "web" / "token.html"
COOKIE = "litekiln"
ASK = "this needs the token: open this address in a browser, or send the header 'Authorization: Bearer …'"
WRONG = "the token is wrong"
MANY = "too many wrong tokens come from your address: wait a moment"
DAYS = 30 * 24 * 3600
MOST_FORM = 1000  # bytes
PAGES = ("/", "/fleet")  # people open these: they get the field instead of JSON
OPEN = ("/healthz", "/static/style.css", "/static/icon.svg")  # the page with the field needs two of these


class Entry:
    def __init__(self, settings: Settings) -> None:
        self._limits, self._token = settings.limits, settings.token.encode()
        self._pass = hmac.new(self._token, b"litekiln cookie", hashlib.sha256).hexdigest()
        self._page = PAGE.read_text(encoding="utf-8")
        self._wrong: Counter[str] = Counter()  # guesses of each address that wait for their answer

    async def refuse(self, request: Request) -> Response | None:
        """The answer to who is not let in; None for who is."""
        known = self._has_cookie(request.headers)
        if request.scope["path"] == "/" and (given := await self._typed(request)) is not None:
            right = known or await self._is_right(given, request)
            return self._let_in(known=known) if right is True else self._ask(request, right or WRONG)
        if known or request.scope["path"] in OPEN:
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic" and request.scope["path"] == MOVING:
            given = _password(given)
        elif kind.lower() != "bearer":
            return self._ask(request, ASK)
        right = await self._is_right(given.strip(), request)
        return None if right is True else self._ask(request, right or WRONG)

    async def _is_right(self, given: str, request: Request) -> bool | str:
        """Whether it is the token. A wrong one is told late, and few are looked at meanwhile: so nobody can try many."""
        visitor = address_of(request.scope["client"])
        if self._wrong[visitor] >= self._limits.guesses:
            return MANY
        if hmac.compare_digest(given.encode("utf-8", "replace"), self._token):
            return True
        self._wrong[visitor] += 1
        try:
            await asyncio.sleep(self._limits.guess_seconds)
        finally:
            self._wrong[visitor] -= 1
            if not self._wrong[visitor]:
                del self._wrong[visitor]
        return False

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode("utf-8", "replace"), self._pass.encode())

    def _let_in(self, *, known: bool) -> Response:
        response = RedirectResponse("./", 303)
        if not known:
            # Lax: a link from elsewhere opens the page. Other sites' pages can send nothing with it: that is checked for itself.
            response.set_cookie(COOKIE, self._pass, max_age=DAYS, httponly=True, samesite="lax")
        return response

    def _ask(self, request: Request, why: str) -> Response:
        status = 429 if why == MANY else 401
        if request.scope["path"] in PAGES and "text/html" in request.headers.get("accept", ""):
            text = "This page needs a token." if why == ASK else f"{why[0].upper()}{why[1:]}."
            response: Response = HTMLResponse(self._page.replace("{why}", text), status)
            response.headers["content-security-policy"] = POLICY.replace("form-action 'none'", "form-action 'self'")
            response.headers["referrer-policy"] = "same-origin"  # without a referrer, a form's Origin would be null
        else:
            response = refusal(status, why, 1 if status == 429 else 0)
        response.headers["www-authenticate"] = 'Basic realm="litekiln"' if request.scope["path"] == MOVING else "Bearer"
        return response

    async def _typed(self, request: Request) -> str | None:
        """The token that a person gives, in the address or in the form; None when they give none."""
        form = request.method == "POST"
        text = await body(request, MOST_FORM, self._limits.header_seconds) if form else request.scope["query_string"]
        try:
            given = parse_qs(text.decode("latin-1"), max_num_fields=10).get("token", [""])[0]
        except ValueError:
            given = ""
        return given if given or form else None


def _password(given: str) -> str:
    """The token as a password, as in http://any:TOKEN@PI/: all that programs that show a camera can send."""
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2].decode("utf-8", "replace")
    except ValueError:
        return ""
