"""Ask a server for one fixed path, within limits of time and size. What it answers is a stranger's: nothing in it is followed."""

import asyncio
import socket
import ssl
import threading
from dataclasses import dataclass

import h11

from litekiln_pi.fleet.places import Place

PATH = "/api/card"
SECONDS = 4.0  # for all of it
MOST_BYTES = 96 * 1024  # of an answer with its head
MOST_HEAD = 16 * 1024
UNREACHABLE, TOKEN, REFUSES, STRANGE = "unreachable", "token", "refuses", "strange"
ANSWERS = {401: TOKEN, 403: REFUSES, 429: REFUSES, 503: REFUSES}
OLD = "it has no card: its image was made by an older litekiln, or another program answers there"


class NoCard(Exception):
    """Why there is no card. `kind` is one of the four above."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """A body, and the address that it came from."""

    body: bytes
    peer: str


async def ask(place: Place, token: str, seconds: float = SECONDS) -> Answer:
    """The body of a server's answer with status 200. The token goes only to those whose owner listed them."""
    way = _Way()
    try:
        return await asyncio.wait_for(_ask(place, token if place.listed else "", way), seconds)
    except asyncio.TimeoutError:
        raise NoCard(UNREACHABLE, way.too_slow(seconds)) from None
    except ssl.SSLCertVerificationError as error:
        raise NoCard(REFUSES, f"its certificate is not trusted ({error.verify_message})") from None
    except ssl.SSLError:
        raise NoCard(STRANGE, "it doesn't speak TLS: is it http:// instead of https://?") from None
    except socket.gaierror:
        raise NoCard(
            UNREACHABLE, f"nobody here knows the name {place.host}: is it on? An address of numbers always works"
        ) from None
    except ConnectionRefusedError:
        raise NoCard(UNREACHABLE, f"this machine is on, but nothing answers at port {place.port}") from None
    except OSError as error:
        raise NoCard(UNREACHABLE, f"no connection: {error.strerror or type(error).__name__}") from None
    except h11.RemoteProtocolError:
        raise NoCard(STRANGE, "what it answers is not HTTP, or cut off") from None


class _Way:
    """How far a request came."""

    def __init__(self) -> None:
        self.known = self.connected = False

    def too_slow(self, seconds: float) -> str:
        if self.connected:
            return f"it didn't finish its answer within {seconds:g} s"
        return (
            f"no answer within {seconds:g} s: is it on, and in this network?"
            if self.known
            else "its name could not be looked up in time"
        )


async def _ask(place: Place, token: str, way: _Way) -> Answer:
    peer = await address_of(place)
    way.known = True
    secure = ssl.create_default_context() if place.secure else None
    named = place.host if place.secure else None
    reader, writer = await asyncio.open_connection(peer, place.port, limit=MOST_HEAD, ssl=secure, server_hostname=named)
    way.connected = True
    try:
        talk = h11.Connection(h11.CLIENT, MOST_HEAD)
        headers = [("Host", place.host_header), ("User-Agent", "litekiln"), ("Accept", "application/json"), ("Connection", "close")]
        headers += [("Authorization", f"Bearer {token}")] if token else []
        request = h11.Request(method="GET", target=PATH, headers=headers)
        writer.write((talk.send(request) or b"") + (talk.send(h11.EndOfMessage()) or b""))
        return Answer(await _body(reader, talk), peer)
    finally:
        writer.transport.abort()


async def _body(reader: asyncio.StreamReader, talk: h11.Connection) -> bytes:
    parts: list[bytes] = []
    taken = 0
    while not isinstance(event := talk.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            data = await reader.read(MOST_HEAD)
            taken += len(data)
            if taken > MOST_BYTES:
                raise NoCard(STRANGE, f"its answer is larger than {MOST_BYTES // 1024} kB")
            talk.receive_data(data)
        elif isinstance(event, h11.Response) and event.status_code != 200:
            raise _refusal(event.status_code)
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("it ended early")
    return b"".join(parts)


def _refusal(status: int) -> NoCard:
    if status == 401:
        return NoCard(TOKEN, "it wants its token")
    if status == 403:
        return NoCard(REFUSES, "it doesn't know itself by this name: list its address in numbers, or start it with --hostnames")
    if status in ANSWERS:
        return NoCard(ANSWERS[status], "it has too many visitors, or got too many wrong tokens")
    if 300 <= status < 400:
        return NoCard(STRANGE, f"it sends us elsewhere (status {status}), which is not followed")
    return NoCard(STRANGE, OLD if status in (404, 405) else f"it answers with status {status}")


async def address_of(place: Place) -> str:
    """The first address of a name. Its look-up has a thread of its own: a name that nobody knows takes seconds, and others wait
    in asyncio's few threads."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in place.host else socket.AF_INET, place.host)
    except OSError:
        pass
    else:
        return place.host
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()

    def tell(address: str, error: OSError | None) -> None:
        if found.done():  # nobody waits any more
            return
        if error:
            found.set_exception(error)
        else:
            found.set_result(address)

    def look_up() -> None:
        address = ""
        error: OSError | None = None
        try:
            address = str(socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][4][0])
        except UnicodeError:
            error = socket.gaierror(socket.EAI_NONAME, "not a name")
        except OSError as reason:
            error = reason
        try:
            loop.call_soon_threadsafe(tell, address, error)
        except RuntimeError:
            return  # the program has ended meanwhile

    threading.Thread(target=look_up, name="look up", daemon=True).start()
    return await found
