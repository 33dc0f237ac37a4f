"""Download a file into its part, and resume where an earlier try or run broke off. Others call `litekiln.fetch.fetch`."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from litekiln.addresses import text_without_secrets, without_secrets
from litekiln.errors import DownloadFailed, DownloadStalled, NetworkError, NotFoundOnServer, SourceError
from litekiln.fetch.connection import Connection, TooSlow
from litekiln.fetch.transfer import Record, Source, Transfer

if TYPE_CHECKING:
    from requests import Response

TRIES = 4  # in a row without a new byte
BACKOFF = 0.5  # seconds before the second try, doubled before each further one
CONNECT_TIMEOUT = 15.0
STALL_TIMEOUT = 60.0  # seconds without a byte, or in which too few come
SLOWEST = 1000.0  # bytes a second
REDIRECTS = 10
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TROUBLE = "no network, a proxy that is not set, or a problem of the server"
MISSING = (404, 410)
FORBIDDEN = (401, 402, 403, 407, 451)
BUSY = (408, 425, 429)  # and every 5xx: the same request may be answered later


class _TryAgain(Exception):
    """A failure that is worth a retry, with the error to raise after the last one."""

    def __init__(self, error: NetworkError, *, least: float = SLOWEST) -> None:
        super().__init__(error.what)
        self.error = error
        self.least = least  # bytes: a try that brought no more doesn't count as progress


def refuse_address(address: str, *, plain: bool = False, redirected_by: str = "") -> None:
    """Refuse addresses other than https. http is allowed from this machine, and from a mirror that was set to http."""
    shown = repr(without_secrets(address))
    subject = f"{redirected_by} redirects to {shown}, which" if redirected_by else shown
    try:
        parts = urlsplit(address)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host = "https", None
    if scheme != "https" and not (scheme == "http" and (plain or host in LOOPBACK)):
        msg = f"{subject} is not https"
        cause = "without TLS a file can be changed on its way"
        raise SourceError(
            msg, cause=cause, remedy="use an https address, or put the file in a folder and set LITEKILN_MIRROR to it"
        )
    # All parsers must see the same host in an address, so characters that some of them skip or convert are refused.
    if not host or not re.fullmatch(r"[!-\[\]-~]+", address):
        msg = f"{subject} is not a valid address"
        raise SourceError(msg, cause="a typing error", remedy="fix the address; percent-encode special characters (a space is %20)")


def download(transfer: Transfer) -> None:
    """Fill the part. After a failure it stays, so that the next run can resume."""
    failures, furthest = 0, transfer.part.size()
    while True:
        try:
            with _network_in_words(transfer.source), _connection(transfer) as connection:
                return _attempt(transfer, connection)
        except _TryAgain as again:
            size = transfer.part.size()
            failures = 1 if size - furthest > again.least else failures + 1
            furthest = max(furthest, size)
            if failures >= TRIES:
                raise again.error from None
            transfer.note(f"{again.error.what}: retrying")
        _pause(BACKOFF * 2 ** (failures - 1), transfer.stopped)


def _connection(transfer: Transfer) -> Connection:
    return Connection(transfer.stopped, connect=CONNECT_TIMEOUT, stall=STALL_TIMEOUT, slowest=SLOWEST)


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    """Wait, in short turns: a thread that sleeps hears no stop."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stopped():
            raise KeyboardInterrupt
        time.sleep(min(left, 0.2))


def _attempt(transfer: Transfer, connection: Connection) -> None:
    part, source = transfer.part, transfer.source
    version = part.version(source)
    start = part.size() if version else 0
    headers = {"Accept-Encoding": "identity"}  # the file's own bytes, without another compression
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    response = _answer(connection, source, headers)
    status = response.status_code
    if status == 416 and response.headers.get("Content-Range") == f"bytes */{start}":
        return  # all of it had arrived when the last run was killed
    if status == 206 and start:
        total = _total_when_continued(response, transfer, start, version)
    elif status == 200:
        start, total = 0, _length(response)
        part.remove()
        Record(source.key, _version(response)).write(part.record)
    else:
        raise _refusal(response, transfer)
    done = transfer.receive(connection.blocks(response), start, total)
    if total is not None and done < total:
        raise _TryAgain(_failed(source, f"the connection closed after {done} of {total} bytes"))


def _length(response: "Response") -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _version(response: "Response") -> str:
    """The server's name for this version of the file. A weak ETag doesn't promise equal bytes."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _total_when_continued(response: "Response", transfer: Transfer, start: int, version: str) -> int | None:
    """The whole file's length. Retry if the answer is not the requested part of the same version."""
    found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != start or _version(response) not in ("", version):
        transfer.part.remove()
        raise _TryAgain(_failed(transfer.source, "the server sent another part or version than the requested one"))
    return None if found[2] == "*" else int(found[2])


def _answer(connection: Connection, source: Source, headers: dict[str, str]) -> "Response":
    """The answer after all redirects. Each redirect must follow the same rules as the address itself."""
    from requests.utils import requote_uri

    address, came_from = source.address, ""
    for _ in range(REDIRECTS):
        refuse_address(address, plain=source.plain, redirected_by=came_from)
        response = connection.get(address, headers)
        target = connection.redirect(response)
        if not target:
            return response
        came_from, address = without_secrets(address), urljoin(address, requote_uri(target))
    raise _failed(source, f"more than {REDIRECTS} redirects")


def _refusal(response: "Response", transfer: Transfer) -> NetworkError | _TryAgain:
    """The error for an answer without the file."""
    source, status = transfer.source, response.status_code
    if status in MISSING:
        msg = f"{source.shown}: no such file on the server (it answered {status})"
        return NotFoundOnServer(msg, cause="a typing error, or it was moved or removed", remedy="fix the address")
    if status == 416:
        transfer.part.remove()
        return _TryAgain(_failed(source, "the server has fewer bytes than have arrived already"))
    problem = f"the server answered {status} {response.reason}"
    if status in BUSY or status >= 500:
        return _TryAgain(_failed(source, problem))
    error = _failed(source, problem)
    if status in FORBIDDEN:
        error.cause = "the server requires a login, or a proxy on the way forbids it"
        error.remedy = "download it with a browser into a folder, and set LITEKILN_MIRROR to that folder"
    return error


def _failed(source: Source, problem: str, cause: str = TROUBLE) -> DownloadFailed:
    return DownloadFailed(f"{source.shown}: {text_without_secrets(problem)}", cause=cause, remedy=source.unreachable)


@contextmanager
def _network_in_words(source: Source) -> Iterator[None]:
    """Turn what requests and urllib3 raise into litekiln's errors, or into _TryAgain where a retry may help."""
    from requests import exceptions as asking
    from urllib3 import exceptions as reading

    try:
        yield
    except TooSlow as error:
        little = f"less than {SLOWEST:g} bytes a second" if error.arrived else "nothing"
        msg = f"{source.shown}: the server sent {little} for {STALL_TIMEOUT:g} seconds"
        raise _stalled(source, msg) from None
    except asking.SSLError as error:
        raise _no_trust(source, _innermost(error)) from None
    except (asking.ReadTimeout, reading.ReadTimeoutError):
        msg = f"{source.shown}: the server sent nothing for {STALL_TIMEOUT:g} seconds"
        raise _stalled(source, msg) from None
    except asking.ProxyError as error:
        cause = "HTTPS_PROXY or HTTP_PROXY names a proxy that doesn't answer or refuses"
        raise _TryAgain(_failed(source, f"the proxy failed: {_innermost(error)}", cause)) from None
    except (asking.ConnectionError, asking.ChunkedEncodingError, reading.HTTPError) as error:
        raise _TryAgain(_failed(source, f"the connection failed: {_innermost(error)}")) from None
    except asking.RequestException as error:
        raise _failed(source, str(error)) from None
    except OSError as error:
        if error.errno is None:  # what requests raises for a missing CA bundle; the disk's errors have a number
            raise _no_trust(source, str(error)) from None
        raise


def _stalled(source: Source, what: str) -> _TryAgain:
    """A try that brought little counts as one that brought nothing: else a server could be asked for ever."""
    error = DownloadStalled(what, cause="a slow or broken network, or a problem of the server", remedy=source.unreachable)
    return _TryAgain(error, least=2 * SLOWEST * STALL_TIMEOUT)


def _no_trust(source: Source, problem: str) -> DownloadFailed:
    cause = "a proxy on the way inspects TLS and sends its own certificate, or REQUESTS_CA_BUNDLE names a wrong file"
    remedy = "set REQUESTS_CA_BUNDLE to a file with your network's own CA certificates"
    what = f"{source.shown}: no trusted TLS connection: {text_without_secrets(problem)}"
    return DownloadFailed(what, cause=cause, remedy=remedy)


def _innermost(error: Exception) -> str:
    """The innermost reason of an error, without the layers and objects around it."""
    wrapped = error.args[0] if error.args else error
    while inner := getattr(wrapped, "reason", None) or getattr(wrapped, "original_error", None):
        wrapped = inner
    return re.sub(r"^\w+\(host=[^)]*\): ", "", str(wrapped))
