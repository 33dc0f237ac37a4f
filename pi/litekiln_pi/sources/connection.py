"""A connection to a network camera. Every wait has a deadline, and a stop ends it within a second."""

import errno
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from litekiln_pi.errors import BadUse, SourceLost

SLICE = 0.2  # seconds between two checks whether to stop
CONNECT = 5.0  # seconds for a connection
QUOTED = (
    "it looks like http://NAME:PASSWORD@camera:8080/path; "
    "in name and password write / as %2F, @ as %40, # as %23, ? as %3F, : as %3A"
)
PORTS = {"http": 80, "https": 443, "rtsp": 554, "tcp": 0}  # 0: it has none


class Stopped(Exception):
    """The source was told to stop while it waited."""


class Address(NamedTuple):
    """A camera's address. No text that is shown contains the name or password."""

    scheme: str
    host: str
    port: int
    path: str  # with the query
    user: str
    password: str

    @property
    def site(self) -> str:
        """The host and port, as headers write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL without name and password, for requests."""
        return f"{self.scheme}://{self.site}{self.path}"

    @property
    def shown(self) -> str:
        """The URL without the query too: some cameras take their password there."""
        return self.url.partition("?")[0]


def address_of(url: str) -> Address:
    """The parts of a URL. BadUse when it is invalid."""
    try:
        parts: SplitResult = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
    except ValueError:  # its text may contain a part of the password
        raise BadUse("--source: that address is invalid", QUOTED) from None
    if "@" in parts.path + parts.query + parts.fragment and not parts.username:
        raise BadUse("--source: that address has an @ after its host", QUOTED)
    if not host:
        example = "camera:8888" if parts.scheme == "tcp" else "camera/path"
        raise BadUse(f"--source: that {parts.scheme} address has no host", f"it looks like {parts.scheme}://{example}")
    path = _quoted(parts.path) + (f"?{_quoted(parts.query)}" if parts.query else "")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(parts.scheme, host, port or PORTS[parts.scheme], path, user, password)


def _quoted(text: str) -> str:
    """The text with spaces and non-ASCII letters percent-encoded, as requests need it; the rest stays."""
    return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


class Connection(io.RawIOBase):
    """Bytes from and to a camera. Reading raises Stopped, or SourceLost when nothing arrives before the deadline."""

    def __init__(self, address: Address, stopping: threading.Event) -> None:
        super().__init__()
        self._address, self._stopping = address, stopping
        self._deadline = 0.0
        self._socket: socket.socket | None = None
        self.expect(CONNECT, "no answer")
        self._socket = self._connected()
        try:
            self._socket.settimeout(SLICE)
            if address.scheme == "https":
                self._encrypt()
        except BaseException:
            self.close()
            raise

    def expect(self, seconds: float, otherwise: str) -> None:
        """Set a deadline in `seconds`. After it the source is lost, with `otherwise` as the reason."""
        self._deadline, self._otherwise = time.monotonic() + seconds, f"{otherwise} within {seconds:.0f} seconds"

    def lost(self, why: str) -> SourceLost:
        return SourceLost(f"{self._address.shown}: {why}")

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        assert self._socket
        return self._patiently(self._socket.recv_into, room)

    def send(self, data: bytes) -> None:
        assert self._socket
        while data:
            data = data[self._patiently(self._socket.send, data) :]

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        super().close()

    def _patiently(self, call: Callable[..., int], argument: Any) -> int:
        """The call's result. It waits in short slices, so that another thread can end the wait."""
        while True:
            try:
                self._check_time()
                return call(argument)
            except TimeoutError:
                if self._stopping.is_set():
                    raise Stopped from None
            except ssl.SSLCertVerificationError as error:
                raise self.lost(_untrusted(error)) from None
            except ssl.SSLError:
                raise self.lost(f"port {self._address.port} doesn't answer in https: try http") from None
            except OSError as error:
                raise self.lost(f"the connection broke: {error.strerror or error}") from None

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise self.lost(self._otherwise)

    def _wait(self, done: Callable[[], Any]) -> Any:
        while not (result := done()):
            if self._stopping.is_set():
                raise Stopped
            self._check_time()
        return result

    def _connected(self) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, place in self._places():
            one = socket.socket(family, kind, protocol)
            try:
                one.setblocking(False)
                code = one.connect_ex(place)
                if code == errno.EINPROGRESS:
                    self._wait(lambda one=one: select.select([], [one], [], SLICE)[1])  # type: ignore[misc]
                    code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return one
                failure = OSError(code, errno.errorcode.get(code, ""))
            except BaseException:
                one.close()
                raise
            one.close()
        raise self.lost(self._why_not(failure))

    def _why_not(self, failure: OSError | None) -> str:
        if failure and failure.errno == errno.ECONNREFUSED:
            return f"nothing answers on port {self._address.port}: is the camera's stream switched on, and the port right?"
        return "the camera can't be reached: is it on, and in the same network?"

    def _places(self) -> list[Any]:
        """The host's addresses. A thread asks for them, since a silent name server can't be interrupted."""
        found: list[Any] = []

        def ask() -> None:
            try:
                found.append(socket.getaddrinfo(self._address.host, self._address.port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                found.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        self._wait(lambda: thread.join(SLICE) or found)  # type: ignore[func-returns-value]
        if isinstance(found[0], Exception):
            raise self.lost(f"the host name {self._address.host} is unknown: use the camera's IP address, which always works")
        return list(found[0])

    def _encrypt(self) -> None:
        assert self._socket
        context = ssl.create_default_context()
        self._socket = context.wrap_socket(self._socket, server_hostname=self._address.host, do_handshake_on_connect=False)
        self._patiently(lambda handshake: handshake() or 1, self._socket.do_handshake)


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    why = f"its certificate is not trusted ({error.verify_message})"
    return f"{why}: mount the certificate that signed it and name it in SSL_CERT_FILE, or use http in your own network"
