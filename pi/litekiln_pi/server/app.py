"""The application: the routes and what answers them."""

import hashlib
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from litekiln_pi.events.events import Watch
from litekiln_pi.events.settings import SettingsFile
from litekiln_pi.model import Bundle
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server.answers import Refused, answer, forget, refusal
from litekiln_pi.server.camera import CameraRoutes
from litekiln_pi.server.event_metrics import EventMetrics
from litekiln_pi.server.event_routes import EventRoutes
from litekiln_pi.server.guard import Guard
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.metrics import CONTENT_TYPE, Metrics
from litekiln_pi.server.moving import MovingPictures
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.server.report import Report
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import Standing
from litekiln_pi.server.this_machine import ThisMachine
from litekiln_pi.server.upload import Uploads

WEB = Path(__file__).resolve().parent.parent / "web"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
TOLD_OF_REPORT = ("verdict", "accuracy", "parity", "conversion", "source", "file", "reproduce", "warnings")
TOLD_OF_MANIFEST = ("litekiln", "files", "toolchains", "page")
WORDS = {404: "there is nothing here", 405: "this path doesn't allow this method"}


class App:
    """The application that uvicorn calls, with the parts that the server needs."""

    def __init__(
        self, pipeline: Pipeline, bundle: Bundle, settings: Settings, wrong: str = "", *, watch: Watch | None = None
    ) -> None:
        self.watch = watch or Watch(SettingsFile(None, bundle.names), bundle.names, settings.threshold, wrong=bool(wrong))
        pipeline.listen(self.watch.see)  # before the hub, which wakes those who ask for events
        self.hub, self.standing = Hub(pipeline), Standing(pipeline, wrong)
        self.routes = _routes(self.hub, bundle, settings, self.standing)
        self.routes += EventRoutes(self.hub, self.watch, settings).routes()
        self.routes += MovingPictures(self.hub, settings, self.standing).routes()
        self.routes.append(Route("/metrics", self._metrics))
        self.metrics = Metrics(pipeline, self.standing, bundle.name, {route.path.replace("/{name}", "") for route in self.routes})
        self.metrics.registry.register(EventMetrics(self.watch))
        handlers: Any = {Refused: _refused, HTTPException: _no_such_thing, Exception: _bug}
        starlette = Starlette(routes=self.routes, exception_handlers=handlers)
        starlette.router.redirect_slashes = False  # redirects would go to the address in the visitor's Host header
        self._guarded: ASGIApp = Guard(starlette, settings, self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE})


def create_app(pipeline: Pipeline, bundle: Bundle, settings: Settings, wrong: str = "", *, watch: Watch | None = None) -> App:
    """The application. The pipeline may run already: `serve` starts and stops it. `wrong`: how the selftest failed."""
    return App(pipeline, bundle, settings, wrong, watch=watch)


def _routes(hub: Hub, bundle: Bundle, settings: Settings, standing: Standing) -> list[Route]:
    camera = CameraRoutes(hub, bundle, settings, standing)
    uploads, page = Uploads(bundle, settings, standing), _Page(WEB)

    async def info(_: Request) -> Response:
        return answer(_info(bundle))

    async def openapi(_: Request) -> Response:
        return answer(DESCRIPTION)

    return [
        Route("/", page.index),
        Route("/static/{name}", page.file),
        Route("/api/frame", camera.frame),
        Route("/api/detections", camera.detections),
        Route("/api/detect", uploads.detect, methods=["POST"]),
        Route("/api/state", camera.state, methods=["GET", "POST"]),
        Route("/api/snapshot", camera.snapshot, methods=["POST"]),
        Route("/api/info", info),
        Route("/api/machine", ThisMachine().answer),
        Route("/report", Report(bundle).answer),
        Route("/healthz", camera.health),
        Route("/openapi.json", openapi),
    ]


class _Page:
    """The page's files, read at the start: no request reaches the disk."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: (path.read_bytes(), KINDS[path.suffix]) for path in folder.iterdir() if path.suffix in KINDS}

    async def index(self, request: Request) -> Response:
        return self._answer(request, "index.html")

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


def _info(bundle: Bundle) -> dict[str, Any]:
    """The model, its contract and its source."""
    report, manifest = bundle.report, bundle.manifest
    return {
        "model": manifest["model"],
        "variant": manifest["variant"],
        "labels": bundle.labels,
        "contract": bundle.contract,
        "report": {name: report[name] for name in TOLD_OF_REPORT if name in report},
        "manifest": {name: manifest[name] for name in TOLD_OF_MANIFEST if name in manifest},
    }


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    forget(error)
    return refusal(error.status, str(error), error.retry)


async def _no_such_thing(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = refusal(error.status_code, WORDS.get(error.status_code, error.detail))
    response.headers.update(error.headers or {})
    return response


async def _bug(_: Request, error: Exception) -> Response:
    forget(error)
    return refusal(500, "this is a bug; the program's log has the details")
