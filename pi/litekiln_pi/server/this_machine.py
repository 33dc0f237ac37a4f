"""How this machine is: its temperature, and what slows it down. All visitors share what was read a moment ago."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from litekiln_pi.machine import board, cores, temperature, throttling
from litekiln_pi.server.answers import answer

FRESH = 2.0  # seconds


class ThisMachine:
    """GET /api/machine."""

    def __init__(self) -> None:
        self._fixed = {"board": board(), "cores": cores()}
        self._known: dict[str, Any] = {}
        self._read = 0.0

    async def answer(self, _: Request) -> Response:
        if not self._known or time.monotonic() - self._read > FRESH:
            self._known, self._read = {"temperature": temperature(), "throttling": throttling()}, time.monotonic()
        return answer({**self._fixed, **self._known})
