"""Download a file into its part, and resume where an earlier try or run broke off. Others call `litekiln.fetch.fetch`."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from litekiln.errors import DownloadFailed, DownloadStalled, NetworkError, NotFoundOnServer, SourceError
from litekiln.fetch.transfer import BLOCK, Record, Source, Transfer, without_secrets
from litekiln.network_settings import ca_bundle

if TYPE_CHECKING:
    from requests import Response, Session

TRIES = 4  # in a row without a new byte
BACKOFF = 0.5  # seconds before the second try, doubled before each further one
CONNECT_TIMEOUT = 15.0
STALL_TIMEOUT = 60.0  # seconds without a byte
REDIRECTS = 10
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TROUBLE = "no network, a proxy that is not set, or a problem of the server"
MISSING = (404, 410)
FORBIDDEN = (401, 402, 403, 407, 451)
BUSY = (408, 425, 429)  # and every 5xx: the same request may be answered later


class _TryAgain(Exception):
    """A failure that is worth a retry, with the error to raise after the last one."""

    def __init__(self, error: NetworkError) -> None:
        super().__init__(error.what)
        self.error = error


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
    import requests

    failures, furthest = 0, transfer.part.size()
    with requests.Session() as session:
        session.verify = ca_bundle() or True
        while True:
            try:
                with _network_in_words(transfer.source):
                    return _attempt(transfer, session)
            except _TryAgain as again:
                size = transfer.part.size()
                failures = 1 if size > furthest else failures + 1
                furthest = max(furthest, size)
                if failures >= TRIES:
                    raise again.error from None
                transfer.note(f"{again.error.what}: retrying")
            time.sleep(BACKOFF * 2 ** (failures - 1))


def _attempt(transfer: Transfer, session: "Session") -> None:
    part, source = transfer.part, transfer.source
    version = part.version(source)
    start = part.size() if version else 0
    headers = {"Accept-Encoding": "identity"}  # the file's own bytes, without another compression
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    with _answer(session, source, headers) as response:
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
        # Undecoded: a .tar.gz is often sent as a .tar in the encoding gzip.
        done = transfer.receive(response.raw.stream(BLOCK, decode_content=False), start, total)
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


@contextmanager
def _answer(session: "Session", source: Source, headers: dict[str, str]) -> Iterator["Response"]:
    """The answer after all redirects. Each redirect must follow the same rules as the address itself."""
    from requests.utils import requote_uri

    address, came_from = source.address, ""
    for _ in range(REDIRECTS):
        refuse_address(address, plain=source.plain, redirected_by=came_from)
        timeout = (CONNECT_TIMEOUT, STALL_TIMEOUT)
        with session.get(address, headers=headers, stream=True, allow_redirects=False, timeout=timeout) as response:
            target = session.get_redirect_target(response)
            if not target:
                yield response
                return
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
    return DownloadFailed(f"{source.shown}: {problem}", cause=cause, remedy=source.unreachable)


@contextmanager
def _network_in_words(source: Source) -> Iterator[None]:
    """Turn what requests and urllib3 raise into litekiln's errors, or into _TryAgain where a retry may help."""
    from requests import exceptions as asking
    from urllib3 import exceptions as reading

    try:
        yield
    except asking.SSLError as error:
        raise _no_trust(source, _innermost(error)) from None
    except (asking.ReadTimeout, reading.ReadTimeoutError):
        msg = f"{source.shown}: the server sent nothing for {STALL_TIMEOUT:g} seconds"
        cause = "a slow or broken network, or a problem of the server"
        raise _TryAgain(DownloadStalled(msg, cause=cause, remedy=source.unreachable)) from None
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


def _no_trust(source: Source, problem: str) -> DownloadFailed:
    cause = "a proxy on the way inspects TLS and sends its own certificate, or REQUESTS_CA_BUNDLE names a wrong file"
    remedy = "set REQUESTS_CA_BUNDLE to a file with your network's own CA certificates"
    return DownloadFailed(f"{source.shown}: no trusted TLS connection: {problem}", cause=cause, remedy=remedy)


def _innermost(error: Exception) -> str:
    """The innermost reason of an error, without the layers and objects around it."""
    wrapped = error.args[0] if error.args else error
    while inner := getattr(wrapped, "reason", None) or getattr(wrapped, "original_error", None):
        wrapped = inner
    return re.sub(r"^\w+\(host=[^)]*\): ", "", str(wrapped))
