"""Run the server until it is stopped."""

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import Receive, Scope, Send

from litekiln_pi import memory
from litekiln_pi.errors import BadUse, PiError
from litekiln_pi.events.events import Watch
from litekiln_pi.fleet.mdns import announced
from litekiln_pi.fleet.room import Room
from litekiln_pi.model import Bundle
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.place import here
from litekiln_pi.saying import to_stderr
from litekiln_pi.server.app import create_app
from litekiln_pi.server.fleet_routes import FleetApp
from litekiln_pi.server.protocol import BoundedProtocol, protocol
from litekiln_pi.server.seldom import bound
from litekiln_pi.server.settings import Settings

BACKLOG = 256
GRACE_SECONDS = 1  # for answers that are being sent at the end
LAST_WORDS_SECONDS = 2  # in which a server whose loop is over says so
JOIN_SECONDS = 0.2  # for each part of the loop; they are daemons
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Application(Protocol):
    """What the server needs of what it serves."""

    @property
    def over(self) -> PiError | None:
        """Why it has to end; None while it may go on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

    def refused(self, status: int) -> None:
        """Called for each refused connection."""

    def close(self) -> None:
        """Called at the end, before the last answers are sent."""


def serve(pipeline: Pipeline, bundle: Bundle, settings: Settings, wrong: str = "", *, watch: Watch | None = None) -> None:
    """Start the loop, answer until SIGTERM or SIGINT, then stop the loop. If the source is missing, the page says so.

    When the loop will never go on, that is an error: Docker and systemd start again what ends, not what is unhealthy.

    `wrong` says how the selftest failed, and all answers then say that the results are wrong.
    """
    listener = listen(settings)
    app = create_app(pipeline, bundle, settings, wrong, watch=watch)
    to_stderr(where(*listener.getsockname()[:2]))
    pipeline.start()
    try:
        with _findable(listener, settings):
            answer_at(listener, app, settings)
    finally:
        pipeline.stop()
        pipeline.join(JOIN_SECONDS)


def serve_fleet(room: Room, settings: Settings) -> None:
    """Serve the page of the room's Pis until SIGTERM or SIGINT."""
    listener = listen(settings)
    to_stderr(where(*listener.getsockname()[:2]))
    answer_at(listener, FleetApp(room, settings), settings)


def answer_at(listener: socket.socket, app: Application, settings: Settings) -> None:
    """Answer until a signal comes, or until the application is over, which is an error."""
    server = Server(app, settings)
    server.run([listener])
    if server.over:
        raise server.over


def where(host: str, port: int) -> str:
    """Where the page is. No browser opens the address that stands for all of a machine's."""
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return f"the page is on port {port} of {here('the container', 'this computer')}, at all its addresses"
    return f"the page is at http://{f'[{host}]' if ':' in host else host}:{port}/"


def _findable(listener: socket.socket, settings: Settings) -> AbstractContextManager[None]:
    return announced(listener.getsockname()[1], to_stderr) if settings.announce else nullcontext()


def listen(settings: Settings) -> socket.socket:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        msg = f"can't listen on {settings.host}, port {settings.port}: {error.strerror}"
        raise BadUse(msg, "another program may use the port: choose another one with --port, or an address with --host") from None


class Server(uvicorn.Server):
    """uvicorn's server, but it cuts off visitors who wait at the end, and returns after a signal, or when the loop is over."""

    def __init__(self, app: Application, settings: Settings) -> None:
        memory.keep_small()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # not a line for each malformed request
        for name in ("uvicorn.error", "asyncio"):
            bound(logging.getLogger(name))
        self._app = app
        self.over: PiError | None = None  # why it ended by itself
        self._last_words_until = 0.0
        self.protocol: type[BoundedProtocol] = protocol(settings.limits, app.refused)
        config = uvicorn.Config(
            app,
            http=self.protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,  # addresses may contain the token
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=settings.limits.keep_alive_seconds,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second: whether to end."""
        if await super().on_tick(counter):
            return True
        over, now = self._app.over, time.monotonic()
        if not over:  # also of a part that goes on after all, as after `docker unpause`
            self._last_words_until = 0.0
        elif not self._last_words_until:
            self._last_words_until = now + LAST_WORDS_SECONDS
        if over and now >= self._last_words_until:
            self.over = over
        return self.over is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.close()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # cutting visitors off now is not an error
        await super().shutdown(sockets)
        for connection in [*self.server_state.connections, *self.protocol.lingering]:
            connection.transport.abort()
        await asyncio.sleep(0)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, this doesn't raise the signal again at the end: that would end the program before the caller can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._ended_by) for each in SIGNALS}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _ended_by(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True
