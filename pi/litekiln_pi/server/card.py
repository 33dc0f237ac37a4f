"""This Pi's card, for the page of its room: who it is, how it is, and a small picture."""

import asyncio
import io
import secrets
import time

from PIL import ImageDraw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from litekiln_pi import stills
from litekiln_pi.decoding import decode
from litekiln_pi.errors import BadPicture
from litekiln_pi.fleet.asking import PATH
from litekiln_pi.fleet.cards import MOST_TEXT, SIDE, Card, plain
from litekiln_pi.frames import Seen
from litekiln_pi.machine import board, temperature, throttling
from litekiln_pi.model import Bundle
from litekiln_pi.server.answers import answer
from litekiln_pi.server.hub import Hub
from litekiln_pi.server.settings import Settings
from litekiln_pi.server.standing import Standing

FRESH_SECONDS = 1.0  # that a small picture serves all who ask
QUALITY = 70


class OwnCard:
    """GET /api/card. Who asks for it looks at this Pi, so its loop doesn't rest."""

    def __init__(self, hub: Hub, bundle: Bundle, settings: Settings, standing: Standing) -> None:
        self._hub, self._bundle, self._settings, self._standing = hub, bundle, settings, standing
        self._instance, self._board = secrets.token_hex(8), board()
        self._drawing = asyncio.Lock()
        self._drawn, self._picture = float("-inf"), b""

    def routes(self) -> list[Route]:
        return [Route(PATH, self.answer)]

    async def answer(self, _: Request) -> Response:
        return answer((await self.card()).as_data())

    async def card(self) -> Card:
        await self._hub.awake()
        manifest, standing = self._bundle.manifest, self._standing
        return Card(
            instance=self._instance,
            name=self._settings.name,
            model=manifest["model"],
            variant=manifest["variant"],
            version=manifest["litekiln"],
            sha256=str(manifest["files"].get("detect.tflite", ""))[:12],
            verdict=self._bundle.report["verdict"],
            status=standing.status,
            problem=plain(standing.warning if standing.wrong_results else standing.problem, MOST_TEXT),
            board=self._board,
            fps=round(self._hub.pipeline.rate.value, 1) or None,
            age=standing.age,
            temperature=temperature(),
            throttling=tuple(throttling() or ()),
            counts_only=self._settings.counts_only,
            picture=await self._small(),
        )

    async def _small(self) -> bytes:
        """The newest frame, small and with boxes. Empty without a current one, and where no picture may leave."""
        if self._settings.counts_only:
            return b""
        async with self._drawing:
            seen = self._hub.pipeline.latest
            if seen is None or not self._standing.current:
                return b""
            if time.monotonic() - self._drawn > FRESH_SECONDS:
                self._picture = await self._hub.work(lambda: small(seen, self._settings.threshold))
                self._drawn = time.monotonic()
            return self._picture


def small(seen: Seen, threshold: float) -> bytes:
    """A frame as a JPEG of a few kB, with boxes but no names: nobody could read them."""
    try:
        picture = seen.shot.picture or decode(seen.shot.jpeg, (SIDE, SIDE)).picture
    except BadPicture:  # it was decoded before
        return b""
    picture = picture.convert("RGB")  # a copy, if it is one already: the frame stays as it is
    picture.thumbnail((SIDE, SIDE))
    canvas = ImageDraw.Draw(picture)
    across, down = picture.width / seen.width, picture.height / seen.height
    for each in seen.detections:
        if each.score >= threshold:
            left, top, right, bottom = each.box
            box = (left * across, top * down, max(left, right) * across, max(top, bottom) * down)
            canvas.rectangle(box, outline=stills.COLOURS[each.kind % len(stills.COLOURS)], width=2)
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=QUALITY)
    return written.getvalue()
