"""Attack the Pi's server with requests that were made from a seed, and look at what is left of it.

    .litekiln/host/bin/python -m tests.pi.attack [--requests N] [--seed N] [--bundle DIR] [--token WORD]

The server runs in its own process, with a fake model or a bundle's own. A find is: the process ends, an answer is 500, the log has
a traceback or more than MOST_LOG bytes, the camera's loop stands still, the health check fails, or memory at the end is above
MOST_MEMORY. The exit code is 1 then. CLASSES lists the kinds of requests.
"""

import argparse
import io
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MOST_MEMORY, MOST_LOG = 130e6, 64_000  # bytes
THREADS = 32
PATIENCE = 0.1  # seconds for an answer to what is no proper request: it may wait for the rest
SERVER = """
import os, sys
sys.path[:0] = [{root!r}, {pi!r}, {steps!r}]
from litekiln_pi.model import Bundle
from litekiln_pi.pipeline import Pipeline
from litekiln_pi.server import Settings, serve
from tests.pi.fakes import FakeBundle, FakeModel, FakeSource
bundle = Bundle() if os.environ.get("LITEKILN_BUNDLE") else FakeBundle()
model = FakeModel() if isinstance(bundle, FakeBundle) else bundle.open(1)
serve(Pipeline(model, FakeSource(rate=5)), bundle, Settings(host="127.0.0.1", port={port}, token={token!r}))
"""
PATHS = (
    "/", "/static/app.js", "/fleet", "/api/card", "/api/fleet", "/api/frame", "/api/detections", "/api/state", "/api/info",
    "/api/machine", "/report", "/healthz", "/metrics", "/openapi.json", "/stream.mjpg", "/api/events", "/api/events/settings",
)  # fmt: skip
ODD_TEXT = (
    b"", b"0", b"-1", b"1e999", b"nan", b"\xff", b"%00", b"%ff%fe", b"../../etc/passwd", b"[", b"http://[", b"\xe4\xb8\xad",
    b"a" * 3000,
    b"'; --", b"{{7*7}}", b"<script>", b"2147483648", b"9" * 400, b";;;=", b"null", b'"', b"x\ty", b"::", b"[::1", b"*",
)  # fmt: skip
ODD_NAMES = (
    b"Origin", b"Host", b"Cookie", b"Authorization", b"Content-Length", b"Transfer-Encoding", b"Accept", b"Content-Type", b"Expect",
    b"Sec-Fetch-Site", b"If-None-Match", b"Connection", b"Upgrade", b"Range", b"X-Forwarded-For",
)  # fmt: skip
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"BREW", b"get")
# Settings of events, and what is almost some.
LINES = (b'{"lines": []}', b'{"lines": [{"name": "a", "from": [0.5, 0], "to": [0.5, 1e999]}]}', b'{"thresholds": {"red": "x"}}')
Dice = random.Random


def _request(path: bytes = b"/api/state", method: bytes = b"GET", body: bytes = b"", *headers: bytes) -> bytes:
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: 127.0.0.1", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def proper(dice: Dice) -> bytes:
    return _request(dice.choice(PATHS).encode())


def mutated(dice: Dice) -> bytes:
    """A proper request of which some bytes are changed, left out, doubled."""
    data = bytearray(_request(dice.choice(PATHS).encode(), dice.choice(METHODS), b'{"paused": false}', b"Accept: */*"))
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(data))
        change = dice.randrange(3)
        if change == 0:
            data[place] = dice.randrange(256)
        elif change == 1:
            del data[place : place + dice.randint(1, 8)]
        else:
            data[place:place] = data[place : place + dice.randint(1, 8)]
        if not data:
            break
    return bytes(data)


def odd_header(dice: Dice) -> bytes:
    headers = [dice.choice(ODD_NAMES) + b": " + dice.choice(ODD_TEXT) for _ in range(dice.randint(1, 3))]
    return _request(dice.choice(PATHS).encode(), dice.choice(METHODS), b"", *headers)


def odd_path(dice: Dice) -> bytes:
    path = dice.choice((*PATHS, "/static/", "/api/", "/api/snapshot/", "//", "/%2e%2e/")).encode() + dice.choice((b"", *ODD_TEXT))
    return _request(path, dice.choice(METHODS))


def odd_value(dice: Dice) -> bytes:
    """What a fuzzer makes of the interface's own description."""
    path, names = dice.choice(
        (
            (b"/api/frame", (b"after", b"threshold")),
            (b"/api/detections", (b"threshold",)),
            (b"/api/events", (b"after",)),
            (b"/stream.mjpg", (b"rate",)),
            (b"/", (b"token",)),
            (b"/api/info", (b"x",)),
        )
    )
    query = b"&".join(dice.choice(names) + b"=" + dice.choice(ODD_TEXT).replace(b" ", b"+") for _ in range(dice.randint(1, 4)))
    return _request(path + b"?" + query)


def odd_change(dice: Dice) -> bytes:
    body = dice.choice(
        (b"", b"{", b"[" * 900, b'{"paused": 1}', b'{"paused": false}', b"\xff", b"0" * 2000, b'{"paused": false, "x": 1}', *LINES)
    )
    return _request(
        dice.choice((b"/api/state", b"/api/events/settings")),
        b"POST",
        body,
        b"Content-Type: " + dice.choice((b"application/json", b"text/plain", b"x")),
    )


def bad_chunks(dice: Dice) -> bytes:
    path = dice.choice((b"/api/detect", b"/api/state", b"/api/snapshot", b"/nothing"))
    head = _request(path, b"POST", b"", b"Content-Type: image/jpeg", b"Transfer-Encoding: chunked")
    return head + dice.choice(
        (
            b"zz\r\n",
            b"5\r\nhello\r\nzz\r\n\r\n",
            b"-1\r\n\r\n",
            b"5\r\nhell",
            b"0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"5\r\nhelloworld",
        )
    )


def wrong_length(dice: Dice) -> bytes:
    body = dice.randbytes(dice.randint(0, 200))
    length = dice.choice((0, 1, len(body) + 10, 10**9, 10**30))
    return _request(b"/api/detect", b"POST", b"", b"Content-Type: image/jpeg", b"Content-Length: %d" % length) + body


def cut(dice: Dice) -> bytes:
    data = _request(dice.choice(PATHS).encode(), b"GET", b"", b"Accept: text/event-stream")
    return data[: dice.randrange(len(data))]


def pipelined(dice: Dice) -> bytes:
    return b"".join(proper(dice) for _ in range(dice.randint(2, 6)))


def noise(dice: Dice) -> bytes:
    return dice.randbytes(dice.randint(1, 600)) + b"\r\n\r\n"


def events(_: Dice) -> bytes:
    return _request(b"/api/detections", b"GET", b"", b"Accept: text/event-stream")


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 80).convert("RGB").save(stream, kind)
    return stream.getvalue()


PICTURES = tuple(map(_picture, ("JPEG", "PNG", "WEBP", "BMP", "GIF")))


def odd_picture(dice: Dice) -> bytes:
    data = bytearray(dice.choice(PICTURES))
    for _ in range(dice.randint(0, 8)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    body, wanted = bytes(data[: dice.randint(1, len(data) * 2)]), dice.choice((b"*/*", b"image/jpeg"))
    return _request(b"/api/detect", b"POST", body, b"Content-Type: image/jpeg", b"Accept: " + wanted)


def snapshot(dice: Dice) -> bytes:
    return _request(b"/api/snapshot?" + dice.choice((b"threshold=0", b"threshold=0.5", b"threshold=x", b"for=training")), b"POST")


def large_picture(dice: Dice) -> bytes:
    """16 MB of comments in a JPEG, or of nothing."""
    size = dice.choice((2, 100, 65_000))
    comment = b"\xff\xfe" + struct.pack(">H", size + 2) + bytes(size)
    body = dice.choice((bytes(16_000_000), b"\xff\xd8" + comment * (16_000_000 // len(comment))))
    return _request(b"/api/detect", b"POST", body, b"Content-Type: image/jpeg")


# How often each kind comes, in shares of 1000.
CLASSES: dict[Callable[[Dice], bytes], int] = {
    proper: 120, mutated: 200, odd_header: 150, odd_path: 100, odd_value: 100, odd_change: 60, bad_chunks: 80, wrong_length: 40,
    cut: 40, pipelined: 30, noise: 39, events: 10, odd_picture: 25, snapshot: 5, large_picture: 1,
}  # fmt: skip
UNFINISHED = (mutated, odd_header, odd_path, bad_chunks, wrong_length, cut, noise)  # the server may wait for the rest


@dataclass
class Result:
    answers: Counter[str] = field(default_factory=Counter)
    finds: list[str] = field(default_factory=list)
    memory: float = 0.0
    most_memory: float = 0.0
    log: int = 0
    seconds: float = 0.0


@contextmanager
def _server(token: str, bundle: Path | None, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    text = SERVER.format(root=str(ROOT), pi=str(ROOT / "pi"), steps=str(ROOT / "steps"), port=port, token=token)
    given = {**os.environ, "LITEKILN_BUNDLE": str(bundle) if bundle else ""}
    with log.open("wb") as stream, subprocess.Popen([sys.executable, "-c", text], stderr=stream, env=given) as process:
        try:
            _wait(lambda: _looked_at(port, token) > 2)
            yield process, port
        finally:
            process.kill()


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return True
        time.sleep(0.1)
    return False


def _get(port: int, path: str, token: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read(1_000_000), "utf-8")


def _looked_at(port: int, token: str) -> int:
    found = re.search(r'"looked_at":(\d+)', _get(port, "/api/state", token))
    return int(found[1]) if found else 0


def _memory(process: "subprocess.Popen[bytes]", name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) * 1000 if found else 0.0


def _send(port: int, data: bytes, patience: float) -> str:
    """The answer's status, or what came instead of an answer."""
    with socket.socket() as client:
        client.settimeout(10)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(data)
            client.settimeout(patience)
            head = client.recv(200)
        except TimeoutError:
            return "waits"
        except OSError:
            return "closed"
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", head)
    return found[1].decode() if found else "closed"


class _Attackers:
    """Threads that send requests, and count the answers."""

    def __init__(self, port: int, requests: int, seed: int) -> None:
        self._port, self._requests, self._seed = port, requests, seed
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.finds: list[str] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._work, args=(number,)) for number in range(THREADS)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _work(self, number: int) -> None:
        dice, counts = Dice(f"{self._seed} {number}"), Counter[str]()
        for _ in range(self._requests // THREADS + (number < self._requests % THREADS)):
            kind = dice.choices(list(CLASSES), list(CLASSES.values()))[0]
            status = _send(self._port, kind(dice), PATIENCE if kind in UNFINISHED else 20.0)
            counts[status] += 1
            if status == "500":
                self.finds.append(f"{kind.__name__}: 500")
        with self._lock:
            self.answers += counts


def attack(requests: int, seed: int = 1, token: str = "", bundle: Path | None = None) -> Result:
    """What became of a server after so many requests."""
    result, begun = Result(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with _server(token, bundle, log) as (process, port):
            before, attackers = _looked_at(port, token), _Attackers(port, requests, seed)
            attackers.run()
            result.answers, result.finds, result.seconds = attackers.answers, attackers.finds, time.monotonic() - begun
            if process.poll() is not None:
                result.finds.append(f"the server ended with {process.returncode}")
            elif not _wait(lambda: _looked_at(port, token) > before + 5):
                result.finds.append("the loop stands still")
            elif not _wait(lambda: '"status":"ok"' in _get(port, "/healthz", token)):
                result.finds.append("the health check fails")
            else:
                result.memory, result.most_memory = _memory(process, "VmRSS"), _memory(process, "VmHWM")
        text = log.read_text(encoding="utf-8", errors="replace")
    result.log = len(text)
    if "Traceback" in text:
        result.finds.append(f"the log has a traceback:\n{text[-3000:]}")
    if result.log > MOST_LOG:
        result.finds.append(f"the log has {result.log} bytes")
    if result.memory > MOST_MEMORY:
        result.finds.append(f"memory is {result.memory / 1e6:.0f} MB")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bundle", type=Path, help="the model to run (default: a fake one)")
    parser.add_argument("--token", default="", help="start the server with a token")
    options = parser.parse_args()
    result = attack(options.requests, options.seed, options.token, options.bundle)
    shown = ", ".join(f"{name}: {count}" for name, count in sorted(result.answers.items()))
    print(f"{options.requests} requests in {result.seconds:.0f} s; answers {shown}")
    print(f"memory {result.memory / 1e6:.0f} MB at the end, {result.most_memory / 1e6:.0f} MB at most; log {result.log} bytes")
    print(*(result.finds or ["no finds"]), sep="\n")
    return 1 if result.finds else 0


if __name__ == "__main__":
    sys.exit(main())
