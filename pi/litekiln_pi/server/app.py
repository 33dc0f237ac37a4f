"""The application: the routes and what answers them."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from litekiln_pi.errors import PiError
from litekiln_pi.events.events import Watch
from litekiln_pi.events.settings import SettingsFile
from litekiln_pi.fleet.room import Room
from litekiln_pi.model import Bundle
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server.answers import answer
from litekiln_pi.server.camera import CameraRoutes
from litekiln_pi.server.card import OwnCard
from litekiln_pi.server.event_metrics import EventMetrics
from litekiln_pi.server.event_routes import EventRoutes
from litekiln_pi.server.fleet_routes import FleetRoutes
from litekiln_pi.server.guard import Guard
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.metrics import CONTENT_TYPE, Metrics
from litekiln_pi.server.moving import MovingPictures
from litekiln_pi.server.openapi import DESCRIPTION
from litekiln_pi.server.page import Pages
from litekiln_pi.server.refusals import HANDLERS
from litekiln_pi.server.report import Report
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import Standing
from litekiln_pi.server.this_machine import ThisMachine
from litekiln_pi.server.upload import Uploads

TOLD_OF_REPORT = ("verdict", "accuracy", "parity", "conversion", "source", "file", "reproduce", "warnings")
TOLD_OF_MANIFEST = ("litekiln", "files", "toolchains", "page")


class App:
    """The application that uvicorn calls, with the parts that the server needs."""

    def __init__(
        self, pipeline: Pipeline, bundle: Bundle, settings: Settings, wrong: str = "", *, watch: Watch | None = None
    ) -> None:
        self.watch = watch or Watch(SettingsFile(None, bundle.names), bundle.names, settings.threshold, wrong=bool(wrong))
        pipeline.listen(self.watch.see)  # before the hub, which wakes those who ask for events
        self.hub, self.standing = Hub(pipeline), Standing(pipeline, wrong)
        pages, card = Pages(), OwnCard(self.hub, bundle, settings, self.standing)
        self.routes = _routes(self.hub, bundle, settings, self.standing, pages)
        self.routes += EventRoutes(self.hub, self.watch, settings).routes()
        self.routes += MovingPictures(self.hub, settings, self.standing).routes()
        room = Room(settings.fleet, token=settings.token, own=card.card, own_port=settings.port)
        self.routes += [*card.routes(), *FleetRoutes(room, pages).routes()]
        self.routes.append(Route("/metrics", self._metrics))
        self.metrics = Metrics(pipeline, self.standing, bundle.name, {route.path.replace("/{name}", "") for route in self.routes})
        self.metrics.registry.register(EventMetrics(self.watch))
        self.refused = self.metrics.refused
        starlette = Starlette(routes=self.routes, exception_handlers=HANDLERS)
        starlette.router.redirect_slashes = False  # redirects would go to the address in the visitor's Host header
        self._guarded: ASGIApp = Guard(starlette, settings, self.metrics.answered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._guarded(scope, receive, send)

    @property
    def over(self) -> PiError | None:
        """Why the server has to end; None while it may go on."""
        return self.standing.over

    def close(self) -> None:
        """Release all who wait, and end the loop."""
        self.hub.close()
        self.hub.pipeline.stop()

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE})


def create_app(pipeline: Pipeline, bundle: Bundle, settings: Settings, wrong: str = "", *, watch: Watch | None = None) -> App:
    """The application. The pipeline may run already: `serve` starts and stops it. `wrong`: how the selftest failed."""
    return App(pipeline, bundle, settings, wrong, watch=watch)


def _routes(hub: Hub, bundle: Bundle, settings: Settings, standing: Standing, pages: Pages) -> list[Route]:
    camera, uploads = CameraRoutes(hub, bundle, settings, standing), Uploads(bundle, settings, standing)

    async def info(_: Request) -> Response:
        return answer(_info(bundle))

    async def openapi(_: Request) -> Response:
        return answer(DESCRIPTION)

    return [
        Route("/", pages.index),
        Route("/static/{name}", pages.file),
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
