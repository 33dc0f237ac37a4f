"""Single pictures: their detections, and copies with the detections drawn."""

import io
import time

from PIL import Image, ImageDraw, ImageFont

from litekiln_pi.decoding import decode
from litekiln_pi.frames import Seen, Shot
from litekiln_pi.model import Model

# Colours that differ from each other and from most of what cameras see; white text is readable on each.
COLOURS = ("#e6194b", "#2a7f3b", "#4363d8", "#c4550a", "#911eb4", "#00757a", "#8c5a1e", "#6b6b00", "#b0186f", "#3d5a80")
QUALITY = 88
WRONG, WARNING = "wrong results: the selftest failed", "#c00000"  # what a picture with boxes says then, and the colour below it
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def look_at(model: Model, data: bytes, threshold: float, name: str = "") -> tuple[Seen, Image.Image]:
    """A picture file's detections, and the upright picture. BadPicture when it can't be decoded."""
    came, started = time.time(), time.monotonic()
    decoded = decode(data)
    prepared = model.prepare(decoded.picture)
    ready = time.monotonic()
    found = model.run(prepared)
    ended = time.monotonic()
    took = {"decode": ready - started, "inference": ended - ready, "latency": ended - started}
    detections = model.detections(found, decoded.width, decoded.height, threshold)
    milliseconds = {part: value * 1000 for part, value in took.items()}
    return Seen(1, came, Shot(name=name), decoded.width, decoded.height, detections, milliseconds, started), decoded.picture


def picture_of(shot: Shot) -> Image.Image:
    """A frame's picture, upright."""
    return shot.picture if shot.picture is not None else decode(shot.jpeg).picture


def draw(picture: Image.Image, seen: Seen, *, wrong: bool = False) -> Image.Image:
    """A copy with boxes and names, and a mark if they are wrong. The boxes are in pixels of the original, which may be larger."""
    drawn = picture.convert("RGB").copy()
    canvas = ImageDraw.Draw(drawn)
    across, down = drawn.width / seen.width, drawn.height / seen.height
    line = max(2, round(min(drawn.size) / 200))
    font = ImageFont.load_default(size=max(11, min(drawn.size) // 28))
    for each in seen.detections:
        colour = COLOURS[each.kind % len(COLOURS)]
        left, top, right, bottom = (side * scale for side, scale in zip(each.box, (across, down, across, down), strict=True))
        canvas.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=line)
        _write(canvas, f"{each.name} {each.score:.0%}", (left, top), colour, font)
    if wrong:
        _write(canvas, WRONG, (0, 0), WARNING, font)
    return drawn


def _write(canvas: ImageDraw.ImageDraw, text: str, corner: tuple[float, float], colour: str, font: Font) -> None:
    """Write a name on its colour: above the box where there is room, else inside it."""
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    place = corner[0], corner[1] - (bottom - top) - 4 if corner[1] > bottom - top + 4 else corner[1] + 2
    canvas.rectangle((place[0], place[1], place[0] + right - left + 6, place[1] + bottom - top + 4), fill=colour)
    canvas.text((place[0] + 3 - left, place[1] + 2 - top), text, fill="white", font=font)


def as_jpeg(picture: Image.Image, quality: int = QUALITY) -> bytes:
    written = io.BytesIO()
    picture.convert("RGB").save(written, "JPEG", quality=quality)
    return written.getvalue()
