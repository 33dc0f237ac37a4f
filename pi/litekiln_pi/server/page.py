"""The pages' files, read at the start: no request reaches the disk."""

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

WEB = Path(__file__).resolve().parent.parent / "web"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Pages:
    def __init__(self, folder: Path = WEB) -> None:
        self._files = {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in folder.iterdir() if path.suffix in KINDS}

    async def index(self, request: Request) -> Response:
        return self._answer(request, "index.html")

    async def fleet(self, request: Request) -> Response:
        return self._answer(request, "fleet.html")

    async def file(self, request: Request) -> Response:
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        if name not in self._files:
            raise HTTPException(404)
        data, kind = self._files[name]
        headers = {"etag": f'"{hashlib.sha256(data).hexdigest()[:16]}"', "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=kind)
