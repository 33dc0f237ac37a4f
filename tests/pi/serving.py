"""A real server on this machine, for tests: uvicorn in a thread, with a fake model and source."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

from litekiln_pi.events.events import Watch
from litekiln_pi.pace import Pace
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server import Settings, create_app
from litekiln_pi.server.app import App
from litekiln_pi.server.running import Server, listen
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource, wait_for


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.headers["content-type"] == "application/json"
        return str(self.data["error"])


@dataclass
class Running:
    """A running server, as tests use it."""

    port: int
    pipeline: Pipeline
    source: FakeSource
    app: App
    server: Server
    thread: threading.Thread

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: bytes = b"", kind: str = "image/jpeg", **headers: str) -> Answer:
        return self.ask(path, "POST", body, content_type=kind, **headers)

    def loop_goes_on(self) -> None:
        """Assert that the camera's loop goes on."""
        before = self.pipeline.counters.looked_at
        wait_for(lambda: self.pipeline.counters.looked_at > before + 3)
        assert self.pipeline.alive


@contextmanager
def running(
    settings: Settings | None = None,
    source: Any = None,
    bundle: Any = None,
    model: FakeModel | None = None,
    wait: bool = True,
    port: int = 0,
    wrong: str = "",
    pace: Pace | None = None,
    watch: Watch | None = None,
) -> Iterator[Running]:
    """A server with its loop. It ends with the test, and must end in time."""
    given = source or FakeSource()
    settings = settings or Settings()
    pipeline = Pipeline(model or FakeModel(), given, say=lambda _: None, pace=pace)
    app = create_app(pipeline, bundle or FakeBundle(), settings, wrong, watch=watch)
    listener = listen(Settings(host="127.0.0.1", port=port))
    server = Server(app, settings)
    thread = threading.Thread(target=server.run, args=([listener],))
    pipeline.start()
    thread.start()
    try:
        told = Running(listener.getsockname()[1], pipeline, given, app, server, thread)
        wait_for(lambda: server.started and (pipeline.latest or not wait))
        yield told
    finally:
        server.should_exit = True
        thread.join(10)
        pipeline.stop()
        pipeline.join(5)
        assert not thread.is_alive()
