"""The bundle's own report, readable in the browser: its inline style and script may run, and nothing else."""

import base64
import hashlib
import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from litekiln_pi.model import Bundle

FILE = "report.html"
POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Report:
    """GET /report. The page is read at the start: no request reaches the disk."""

    def __init__(self, bundle: Bundle) -> None:
        try:
            self._page = (bundle.folder / FILE).read_bytes()
        except OSError:  # it was deleted from the bundle
            self._page = b""
        self._headers = {
            "content-security-policy": policy(self._page),
            "etag": f'"{hashlib.sha256(self._page).hexdigest()[:16]}"',
            "cache-control": "no-cache",
        }

    async def answer(self, request: Request) -> Response:
        if not self._page:
            raise HTTPException(404)
        if request.headers.get("if-none-match") == self._headers["etag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._page, headers=self._headers, media_type="text/html")


def policy(page: bytes) -> str:
    """What a browser may run of a page: the style and script elements in it, by their hashes."""
    kinds: dict[str, Any] = {kind: re.findall(rf"<{kind}>(.*?)</{kind}>".encode(), page, re.DOTALL) for kind in ("style", "script")}
    allowed = [f"{kind}-src {' '.join(map(_hash, found))}" for kind, found in kinds.items() if found]
    return "; ".join([POLICY, *allowed])


def _hash(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
