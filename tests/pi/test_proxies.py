"""The examples of proxies in deploy/pi/, with Debian's nginx and Caddy."""

import email
import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from litekiln_pi.server import Settings
from tests.pi.fakes import FakeModel, wait_for
from tests.pi.serving import Answer, Running, running

pytestmark = pytest.mark.servers
EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "pi"
NAME, TOKEN = "cam.example.org", "a-token-of-the-test"
NGINX = """
{user} worker_processes 1; error_log {folder}/error.log; pid {folder}/pid; daemon off;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {site}
}}
"""


def _nginx(folder: Path, port: int, behind: int) -> list[str]:
    site = (EXAMPLES / "nginx.conf").read_text().replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    site = "\n".join(line for line in site.splitlines() if "ssl_" not in line).replace("127.0.0.1:8080;", f"127.0.0.1:{behind};")
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers couldn't write in this folder
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=site, user=user))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(folder: Path, port: int, behind: int) -> list[str]:
    site = (EXAMPLES / "Caddyfile").read_text().replace(f"\n{NAME} {{", f"\nhttp://{NAME}:{port} {{")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + site.replace("127.0.0.1:8080", f"127.0.0.1:{behind}"))
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


class _Many(FakeModel):
    def run(self, prepared: Any) -> Any:
        return numpy.tile([0.1, 0.2, 0.3, 0.4], (100, 1)), numpy.zeros(100, int), numpy.linspace(0.5, 0.99, 100)


@pytest.fixture(params=[("nginx", _nginx), ("caddy", _caddy)], ids=["nginx", "caddy"], scope="module")
def through(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    """A server with a token, and the port of a proxy in front of it."""
    program: str
    made: Callable[[Path, int, int], list[str]]
    program, made = request.param
    assert shutil.which(program), f"there is no {program} on this machine: sudo .ci/pi-tools installs Debian's"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = tmp_path_factory.mktemp(program)
    with (
        running(Settings(token=TOKEN), model=_Many()) as told,
        subprocess.Popen(
            made(folder, port, told.port), stderr=subprocess.DEVNULL, env={**os.environ, "HOME": str(folder)}
        ) as proxy,
    ):
        try:
            wait_for(lambda: _listens(port))
            yield told, port
        finally:
            proxy.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ask(port: int, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    named = {"Host": f"{NAME}:{port}", "Authorization": f"Bearer {TOKEN}", **headers}
    connection.request(method, path, body, {name.replace("_", "-"): text for name, text in named.items()})
    answer = connection.getresponse()
    told = Answer(answer.status, answer.headers, answer.read())
    connection.close()
    return told


def test_people_get_in(through: tuple[Running, int]) -> None:
    port = through[1]
    answer = _ask(port, "/", Authorization="", Accept="text/html")
    assert (answer.status, b"This page needs a token." in answer.body) == (401, True)
    form, origin = "application/x-www-form-urlencoded", f"http://{NAME}:{port}"
    answer = _ask(port, "/", "POST", f"token={TOKEN}".encode(), Authorization="", Content_Type=form, Origin=origin)
    assert (answer.status, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert _ask(port, "/", Authorization="", Cookie=cookie).status == 200
    assert _ask(port, "/api/state", "POST", b'{"paused": false}', Content_Type="application/json", Origin=origin).status == 200


def test_a_hundred_detections_come_through(through: tuple[Running, int]) -> None:
    port = through[1]
    frame = _ask(port, "/api/frame")
    assert frame.status == 200
    assert json.loads(frame.headers["x-litekiln-frame"])["left_out"] > 0
    whole = _ask(port, "/api/frame", Accept="multipart/form-data")
    parts = email.message_from_bytes(b"Content-Type: " + whole.headers["content-type"].encode() + b"\r\n\r\n" + whole.body)
    assert len(json.loads(parts.get_payload()[0].get_payload(decode=True))["detections"]) == 100  # type: ignore[union-attr]


def test_events_come_at_once(through: tuple[Running, int]) -> None:
    told, port = through
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/event-stream", "Host": f"{NAME}:{port}"}
    connection.request("GET", "/api/detections", headers=headers)
    stream = connection.getresponse()
    told.pipeline.paused = True
    try:
        while b'"frames":"paused"' not in stream.readline():
            pass
    finally:
        told.pipeline.paused = False
        connection.close()


def test_large_pictures_come_through(through: tuple[Running, int]) -> None:
    answer = _ask(through[1], "/api/detect", "POST", bytes(16_000_000), Content_Type="image/jpeg")
    assert answer.status == 415
    assert answer.error.startswith("this is not a picture")
