"""From the loop's threads to the server's: who waits for a frame is woken by the newest one. Nobody is waited for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from litekiln_pi import stills
from litekiln_pi.frames import Seen
from litekiln_pi.pipeline import Pipeline

JPEG = b"\xff\xd8"


class Hub:
    """What has been seen, for any number of visitors."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline, self.closed = pipeline, False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._encoding = asyncio.Lock()
        self._encoded: tuple[Seen, bytes] | None = None
        self._encoder = ThreadPoolExecutor(1, "encode")
        self._unlisten = pipeline.listen(self._heard)

    def close(self) -> None:
        """Whoever waits is let go."""
        if not self.closed:
            self.closed = True
            self._unlisten()
            self._news.set()
            self._encoder.shutdown(wait=False, cancel_futures=True)

    def _heard(self, _: Seen) -> None:
        """In the network's own thread."""
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
        """The newest frame as soon as it is another one than `after`. Numbers begin anew with the server, so any other is newer."""
        self._loop = asyncio.get_running_loop()
        end = self._loop.time() + timeout
        while not self.closed:
            news, seen = self._news, self.pipeline.latest
            if seen is not None and seen.number != after:
                return seen
            try:
                await asyncio.wait_for(news.wait(), end - self._loop.time())
            except asyncio.TimeoutError:
                return None
        return None

    async def jpeg(self, seen: Seen) -> bytes:
        """The frame as it came, if it came as a JPEG; otherwise encoded, once for all who ask."""
        if seen.shot.jpeg.startswith(JPEG):
            return seen.shot.jpeg
        async with self._encoding:
            if self._encoded is None or self._encoded[0] is not seen:
                self._encoded = seen, await self.work(lambda: stills.as_jpeg(stills.picture_of(seen.shot)))
            return self._encoded[1]

    async def work(self, job: Callable[[], Any]) -> Any:
        """Do it beside the server's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._encoder, job)


def chosen(seen: Seen, threshold: float) -> dict[str, Any]:
    """A frame's data with what is at least so sure."""
    data = seen.as_data()
    data["detections"] = [each.as_data() for each in seen.detections if each.score >= threshold]
    return data
