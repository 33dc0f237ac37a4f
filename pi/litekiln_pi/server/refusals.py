"""What every application of this server answers to what it refuses, doesn't have, or fails at."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from litekiln_pi.server.answers import Refused, forget, refusal

WORDS = {404: "there is nothing here", 405: "this path doesn't allow this method"}


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    forget(error)
    return refusal(error.status, str(error), error.retry)


async def _no_such_thing(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = refusal(error.status_code, WORDS.get(error.status_code, error.detail))
    response.headers.update(error.headers or {})
    return response


async def _bug(_: Request, error: Exception) -> Response:
    forget(error)
    return refusal(500, "this is a bug; the program's log has the details")


HANDLERS: dict[Any, Any] = {Refused: _refused, HTTPException: _no_such_thing, Exception: _bug}
