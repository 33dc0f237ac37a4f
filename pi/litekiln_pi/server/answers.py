"""What all answers share: compact JSON, refusals with a reason, and headers that restrict the browser."""

import json
import traceback
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Refused(Exception):
    """Ends a request with a status and a reason; a retry makes sense after `retry` seconds."""

    def __init__(self, status: int, message: str, retry: int = 0) -> None:
        super().__init__(message)
        self.status, self.retry = status, retry


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    return Response(as_json(value), status, {name.replace("_", "-"): text for name, text in headers.items()}, "application/json")


def refusal(status: int, message: str, retry: int = 0) -> Response:
    return answer({"error": message}, status, **({"retry_after": str(retry)} if retry else {}))


def raw_refusal(status: int, message: str, retry: int = 0) -> bytes:
    """A refusal as bytes, for a connection that has no request yet."""
    body = as_json({"error": message})
    headers = {**SAFE_HEADERS, "content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    if retry:
        headers["retry-after"] = str(retry)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode() + body


def forget(error: BaseException) -> None:
    """Free what the functions held that an error went through: a picture of 16 MB, for as long as something refers to the error.

    An awaited future and its error refer to each other, so without this they wait for Python's collector of cycles, which starts
    by numbers of objects and not of bytes.
    """
    known: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        each = ahead.pop()
        if each is not None and each not in known:
            known.append(each)
            traceback.clear_frames(each.__traceback__)
            ahead += [each.__cause__, each.__context__]


def threshold_of(request: Request, default: float) -> float:
    text = request.query_params.get("threshold", "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Refused(400, f"threshold={text[:40]} is not a number from 0 to 1")
    return value
