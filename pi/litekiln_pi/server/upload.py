"""A visitor's own picture: received within limits and given to a second model, so that the camera's loop goes on."""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from litekiln_pi import stills
from litekiln_pi.decoding import MOST_BYTES
from litekiln_pi.errors import BadPicture, PiError
from litekiln_pi.model import Bundle, Model
from litekiln_pi.server.answers import Refused, answer, threshold_of
from litekiln_pi.server.counts_only import refuse_pictures
from litekiln_pi.server.settings import Settings

KINDS = "send the picture itself as the body, with its Content-Type: image/jpeg, image/png, image/webp, image/bmp or image/gif"
RETRY_SECONDS = 2
NICE = 10  # the camera goes first


class Examiner:
    """A thread with its own model, which is opened for the first picture. Its callers keep the queue short."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._line: queue.SimpleQueue[tuple[Future[Any], Callable[[Model], Any]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="examine", daemon=True)

    async def look(self, job: Callable[[Model], Any]) -> Any:
        if not self._thread.is_alive():
            self._thread.start()
        result: Future[Any] = Future()
        self._line.put((result, job))
        return await asyncio.wrap_future(result)

    def _work(self) -> None:
        with suppress(OSError):  # on Linux it applies to this thread alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        model: Model | None = None
        while True:
            result, job = self._line.get()
            if not result.set_running_or_notify_cancel():
                continue
            try:
                model = model or self._bundle.open(1)
                result.set_result(job(model))
            except BaseException as error:
                result.set_exception(error)
            del result, job  # frees the picture before the wait for the next


class Uploads:
    """POST /api/detect."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._examiner, self._settings, self._inside = Examiner(bundle), settings, 0

    async def detect(self, request: Request) -> Response:
        threshold = threshold_of(request, self._settings.threshold)
        drawn = _wants_picture(request)
        if drawn:
            refuse_pictures(self._settings)
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith("image/"):
            raise Refused(415, f"{kind[:60] or 'a body without Content-Type'} is not a picture: {KINDS}")
        with self._place():
            data = await body(request, MOST_BYTES, self._settings.limits.body_seconds)
            try:
                return await self._examiner.look(lambda model: _examine(model, data, threshold, drawn))  # type: ignore[no-any-return]
            except BadPicture as error:
                raise Refused(error.status, str(error)) from None
            except PiError as error:
                raise Refused(500, f"{error}. {error.remedy}".rstrip(". ")) from None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._inside >= self._settings.limits.pictures:
            raise Refused(503, "too many pictures are being looked at already", RETRY_SECONDS)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


def _wants_picture(request: Request) -> bool:
    wanted = request.query_params.get("as", "")
    if wanted not in ("", "json", "jpeg"):
        raise Refused(400, f"as={wanted[:40]} is neither json nor jpeg")
    return wanted == "jpeg" or (not wanted and request.headers.get("accept", "").startswith("image/jpeg"))


def _examine(model: Model, data: bytes, threshold: float, drawn: bool) -> Response:
    """The answer; it runs in the examiner's thread."""
    seen, picture = stills.look_at(model, data, threshold)
    found = seen.as_data()
    del found["frame"]  # an upload has no number
    if not drawn:
        return answer(found)
    jpeg = stills.as_jpeg(stills.draw(picture, seen.detections, seen.width, seen.height))
    return Response(jpeg, media_type="image/jpeg")


async def body(request: Request, most: int, seconds: float) -> bytes:
    """A request's body. Refused when it is too large or too slow."""
    limit = f"{most / 1e6:.0f} MB" if most >= 1_000_000 else f"{most} bytes"
    length = request.headers.get("content-length", "0")
    if len(length) > 15 or int(length) > most:  # h11 lets only digits through
        raise Refused(413, f"the body is larger than {limit}")
    return await _within(_read(request, most, limit), seconds)


async def _read(request: Request, most: int, limit: str) -> bytes:
    taken = bytearray()
    try:
        async for part in request.stream():
            taken += part
            if len(taken) > most:
                raise Refused(413, f"the body is larger than {limit}")
    except ClientDisconnect:
        raise Refused(400, "the body ended early") from None
    return bytes(taken)


async def _within(reading: Coroutine[Any, Any, bytes], seconds: float) -> bytes:
    try:
        return await asyncio.wait_for(reading, seconds)
    except asyncio.TimeoutError:
        raise Refused(408, f"the body did not arrive within {seconds:g} s") from None
