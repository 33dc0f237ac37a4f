"""A visitor's own picture: received within limits and given to a second model, so that the camera's loop goes on."""

import asyncio
import io
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from litekiln_pi import memory, stills
from litekiln_pi.decoding import MOST_BYTES
from litekiln_pi.errors import BadPicture, PiError
from litekiln_pi.model import Bundle, Model
from litekiln_pi.server.answers import Refused, answer, threshold_of
from litekiln_pi.server.counts_only import refuse_pictures
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import Standing

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
            memory.give_back()


class Uploads:
    """POST /api/detect."""

    def __init__(self, bundle: Bundle, settings: Settings, standing: Standing) -> None:
        self._examiner, self._settings, self._standing, self._held = Examiner(bundle), settings, standing, 0

    async def detect(self, request: Request) -> Response:
        threshold = threshold_of(request, self._settings.threshold)
        drawn = _wants_picture(request)
        if drawn:
            refuse_pictures(self._settings)
        kind = request.headers.get("content-type", "")
        if not kind.lower().startswith("image/"):
            raise Refused(415, f"{kind[:60] or 'a body without Content-Type'} is not a picture: {KINDS}")
        with self._room(_length(request, MOST_BYTES)):
            data = await body(request, MOST_BYTES, self._settings.limits.body_seconds)
            try:
                return await self._examiner.look(lambda model: self._examine(model, data, threshold, drawn))  # type: ignore[no-any-return]
            except BadPicture as error:
                raise Refused(error.status, str(error)) from None
            except PiError as error:
                raise Refused(500, f"{error}. {error.remedy}".rstrip(". ")) from None

    def _examine(self, model: Model, data: bytes, threshold: float, drawn: bool) -> Response:
        """The answer; it runs in the examiner's thread."""
        seen, picture = stills.look_at(model, data, threshold)
        if drawn:
            jpeg = stills.as_jpeg(stills.draw(picture, seen, wrong=self._standing.wrong_results))
            return Response(jpeg, media_type="image/jpeg")
        return answer(self._standing.told_without_camera(seen))

    @contextmanager
    def _room(self, size: int | None) -> Iterator[None]:
        """Room for a picture of so many bytes; None: unknown."""
        limits, size = self._settings.limits, MOST_BYTES if size is None else size
        if self._held + size > limits.picture_bytes:
            raise Refused(503, "too many pictures are being looked at already", RETRY_SECONDS)
        free = memory.available()
        if free is not None and free < limits.free_bytes:
            msg = f"this machine has too little free memory for a picture at the moment ({free / 1e6:.0f} MB)"
            raise Refused(503, msg, RETRY_SECONDS)
        self._held += size
        try:
            yield
        finally:
            self._held -= size


def _wants_picture(request: Request) -> bool:
    wanted = request.query_params.get("as", "")
    if wanted not in ("", "json", "jpeg"):
        raise Refused(400, f"as={wanted[:40]} is neither json nor jpeg")
    return wanted == "jpeg" or (not wanted and request.headers.get("accept", "").startswith("image/jpeg"))


async def body(request: Request, most: int, seconds: float) -> bytes:
    """A request's body. Refused when it is too large or too slow."""
    _length(request, most)
    return await _within(_read(request, most), seconds)


def _length(request: Request, most: int) -> int | None:
    """How long the body says that it is; None when it comes in chunks. Refused when it is too large."""
    length = request.headers.get("content-length")
    if length is None:
        return None
    if len(length) > 15 or int(length) > most:  # h11 lets only digits through
        raise _too_large(most)
    return int(length)


def _too_large(most: int) -> Refused:
    limit = f"{most / 1e6:.0f} MB" if most >= 1_000_000 else f"{most} bytes"
    return Refused(413, f"the body is larger than {limit}")


async def _read(request: Request, most: int) -> bytes:
    taken = io.BytesIO()  # its value is no copy, as that of a bytearray would be
    try:
        async for part in request.stream():
            taken.write(part)
            if taken.tell() > most:
                raise _too_large(most)
    except ClientDisconnect:
        raise Refused(400, "the body ended early") from None
    return taken.getvalue()


async def _within(reading: Coroutine[Any, Any, bytes], seconds: float) -> bytes:
    try:
        return await asyncio.wait_for(reading, seconds)
    except asyncio.TimeoutError:
        raise Refused(408, f"the body did not arrive within {seconds:g} s") from None
