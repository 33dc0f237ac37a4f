"""Answers that go on until the visitor leaves. Each kind of stream has so many places."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse

from litekiln_pi.server.answers import Refused

RETRY_SECONDS = 10


class Places:
    """The places for one kind of stream; `what` names it in refusals."""

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what, self.taken = most, what, 0

    def stream(self, parts: AsyncIterator[bytes], kind: str) -> StreamingResponse:
        """An answer that takes a place until it ends. Refused when all are taken."""
        if self.taken >= self._most:
            raise Refused(503, f"too many {self._what} are open already", RETRY_SECONDS)
        self.taken += 1
        return _Stream(self, parts, kind)

    def release(self) -> None:
        self.taken -= 1


class _Stream(StreamingResponse):
    def __init__(self, places: Places, parts: AsyncIterator[bytes], kind: str) -> None:
        super().__init__(parts, headers={"x-accel-buffering": "no"}, media_type=kind)
        self._places = places

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._places.release()
