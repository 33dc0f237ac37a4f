"""Each event as JSON to an HTTP address, from a thread of its own: a slow receiver holds up nothing but its own events."""

import base64
import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import unquote, urlsplit

from litekiln_pi.errors import BadUse
from litekiln_pi.events.events import Event
from litekiln_pi.events.waiting import DROPPED, FAILED, SENT, Waiting
from litekiln_pi.saying import Say

RETRY_SECONDS = (1.0, 5.0, 25.0)  # before each further try for one event
STALL_SECONDS, WHOLE_SECONDS = 5.0, 15.0  # for each step of a request, and for all of it
BUSY = (408, 425, 429)


class Webhook(Waiting):
    """What receives the events. Messages name only its host: the rest of its address may be a secret."""

    name = "webhook"

    def __init__(self, address: str, pi: str, say: Say, *, retries: tuple[float, ...] = RETRY_SECONDS) -> None:
        super().__init__(SENT, FAILED, DROPPED)
        self._host, self._port, self._secure, self._target, self._headers = _parts(address)
        self._pi, self._say, self._retries = pi, say, retries
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
        self._trouble = ""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End without sending what waits."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
                event = self._waiting.popleft() if self._waiting else None
            if event:
                self.counts[SENT if self._sent(event) else FAILED] += 1

    def _sent(self, event: Event) -> bool:
        """Whether the receiver took the event, at once or after some retries."""
        text = json.dumps({"pi": self._pi, **event.as_data()}, ensure_ascii=False).encode()
        for wait in (0.0, *self._retries):
            if self._stopping.wait(wait):
                return False
            why, again = self._tried(text)
            self._tell(why)
            if not why:
                return True
            if not again:
                return False
        return False

    def _tried(self, text: bytes) -> tuple[str, bool]:
        """Why the receiver did not take it ("" if it did), and whether it is worth another try."""
        try:
            status = self._post(text)
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer: {_in_words(error)}", True
        if 200 <= status < 300:
            return "", False
        return f"answers with status {status}", status >= 500 or status in BUSY

    def _post(self, text: bytes) -> int:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=STALL_SECONDS)
        late = threading.Event()
        clock = threading.Timer(WHOLE_SECONDS, _cut, [connection, late])
        clock.daemon = True
        clock.start()
        try:
            connection.connect()
            if late.is_set():  # there was nothing yet to cut off
                raise TimeoutError
            connection.request("POST", self._target, text, self._headers)
            status = connection.getresponse().status
            if late.is_set():  # what was cut off looks like an end
                raise TimeoutError
            return status
        except (OSError, http.client.HTTPException):
            if late.is_set():  # or like any other error: it depends on what comes meanwhile
                raise TimeoutError from None
            raise
        finally:
            clock.cancel()
            connection.close()

    def _tell(self, why: str) -> None:
        """Say what is new: that the receiver fails, in another way than before, or that it takes events again."""
        if why != self._trouble:
            self._say(f"webhook: {self._host} {why or 'takes events again'}")
            self._trouble = why


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End a request that takes too long: its reading fails, and `late` says why."""
    late.set()
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it is too slow"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "this is not HTTP"


def _parts(address: str) -> tuple[str, int | None, bool, str, dict[str, str]]:
    """Host, port, whether by TLS, path with query, and headers. BadUse doesn't show the address, which may hold a secret."""
    remedy = "for example LITEKILN_WEBHOOK=http://homeassistant.local:8123/api/webhook/some-id"
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        raise BadUse("--webhook: this is not an address", remedy) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUse("--webhook: it must be an address that begins with http:// or https://", remedy)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or not target.isprintable() or " " in target:
        raise BadUse("--webhook: percent-encode special characters in the address", remedy)
    headers = {"Content-Type": "application/json", "User-Agent": "litekiln", "Connection": "close"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return parts.hostname, port, parts.scheme == "https", target, headers
