"""From the loop's threads to the server's: the newest frame wakes all who wait. The loop waits for nobody."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request

from litekiln_pi import stills
from litekiln_pi.frames import Seen
from litekiln_pi.pipeline import Pipeline

JPEG = b"\xff\xd8"
WAKE_SECONDS = 2.0  # for the first frame after a rest


class Hub:
    """The newest frame, for any number of visitors."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.closed = pipeline, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._encoding = asyncio.Lock()
        self._encoded: tuple[Seen, bytes] | None = None
        self._encoder = ThreadPoolExecutor(1, "encode")
        self._unlisten = pipeline.listen(self._heard)

    def close(self) -> None:
        """Release all who wait."""
        if not self.closed:
            self.closed = True
            self._unlisten()
            self._news.set()
            self._encoder.shutdown(wait=False, cancel_futures=True)

    def _heard(self, _: Seen) -> None:
        """Called in one of the loop's threads."""
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                return  # the server has ended meanwhile

    def _wake(self) -> None:
        if not self.closed:
            self._news.set()
            self._news = asyncio.Event()

    async def newer(self, after: int, timeout: float) -> Seen | None:
        """The newest frame, as soon as it is current and its number is not `after`; None when there is none in time.

        A restarted server counts anew, so any other number is newer.
        """
        self._loop = asyncio.get_running_loop()
        with self.pipeline.pace.watching() as rested:
            old = self.pipeline.latest
            return await self._newer(after if old is None or not rested else old.number, self._loop.time() + timeout)

    async def _newer(self, after: int, end: float) -> Seen | None:
        loop = asyncio.get_running_loop()
        while not self.closed:
            news, seen = self._news, self.pipeline.latest
            if seen is not None and seen.number != after and self.pipeline.is_current(seen):
                return seen
            try:
                await asyncio.wait_for(news.wait(), end - loop.time())
            except asyncio.TimeoutError:
                return None
        return None

    async def awake(self) -> None:
        """Make sure that the newest frame is not from before a rest, if a new one comes soon."""
        if self.pipeline.resting:
            await self.newer(-1, WAKE_SECONDS)
        else:
            with self.pipeline.pace.watching():
                pass

    async def newer_for(self, request: Request, after: int, timeout: float) -> Seen | None:
        """The same for a visitor, who may leave meanwhile."""
        waiting, gone = asyncio.ensure_future(self.newer(after, timeout)), asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            gone.cancel()

    async def jpeg(self, seen: Seen) -> bytes:
        """The frame's JPEG as received; other frames are encoded once for all who ask."""
        if seen.shot.jpeg.startswith(JPEG):
            return seen.shot.jpeg
        async with self._encoding:
            if self._encoded is None or self._encoded[0] is not seen:
                self._encoded = seen, await self.work(lambda: stills.as_jpeg(stills.picture_of(seen.shot)))
            return self._encoded[1]

    async def work(self, job: Callable[[], Any]) -> Any:
        """The job's result; the job runs outside the server's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._encoder, job)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
