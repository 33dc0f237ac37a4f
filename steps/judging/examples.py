"""Draw what the source and the converted model see in a few pictures: people trust a picture before a number."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import protocol
from PIL import Image, ImageDraw, ImageFont

from detection import pictures
from judging import accuracy

if TYPE_CHECKING:
    from detection.boxes import Found
    from detection.detector import Detector
    from judging.observations import Observations

SHOWN = 6  # pictures beside the report
SIDE = 480  # the longer side, in pixels
TILE, ROWS, COLUMNS = 320, 2, 2  # of the sheet that shows the first few
SCORE = 0.4
QUALITY = 85
SELFTEST = "selftest.json"
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")


def show(detector: Detector, observations: Observations, folder: str, labels: list[str]) -> list[dict[str, Any]]:
    """What the model and the source see in each picture; the pictures are written beside the report."""
    os.makedirs(protocol.output_path("examples"))
    sheet = Image.new("RGB", (COLUMNS * TILE, ROWS * TILE), "white")
    told: list[dict[str, Any]] = []
    for place in _telling(observations):
        picture = pictures.load(os.path.join(folder, observations.names[place]))
        found, source = (_told(each, labels) for each in (detector.detect(picture), _by_source(observations, place)))
        picture.thumbnail((SIDE, SIDE))
        path = "examples/%d.jpg" % len(told)
        picture.save(protocol.output_path(path), quality=QUALITY)
        sizes = {"width": picture.width, "height": picture.height}
        if len(told) < ROWS * COLUMNS:
            picture.thumbnail((TILE, TILE))
            _draw(picture, found)
            sheet.paste(picture, ((len(told) % COLUMNS) * TILE, (len(told) // COLUMNS) * TILE))
        told.append(dict(sizes, name=observations.names[place], file=path, source=source, found=found))
    sheet.save(protocol.output_path("example.png"))
    return told


def record(detector: Detector, told: list[dict[str, Any]]) -> None:
    """Write what the model sees in the first picture as it is in the bundle: a Pi has to see the same."""
    if not told:
        return
    found = detector.detect(pictures.load(protocol.output_path(told[0]["file"])))
    seen = [
        {"box": [round(float(side), 5) for side in box], "class": int(kind), "score": round(float(score), 5)}
        for box, kind, score in zip(*found)
        if score >= SCORE
    ]
    protocol.write_json(protocol.output_path(SELFTEST), {"picture": told[0]["file"], "score": SCORE, "found": seen})


def _telling(observations: Observations) -> list[int]:
    """The pictures to show, by number: those in which the source sees something are taken first."""
    places = range(len(observations.names))
    seen = {place: int((_by_source(observations, place).scores >= SCORE).sum()) for place in places}
    return sorted(sorted(places, key=lambda place: (not seen[place], place))[:SHOWN])


def _by_source(observations: Observations, place: int) -> Found:
    """The source's detections: only detectors are shown, so there are some."""
    found = observations.found(place)
    assert found is not None
    return found


def _told(found: Found, labels: list[str]) -> list[dict[str, Any]]:
    told = []
    for box, kind, score in zip(*found):
        if score >= SCORE:
            sides, name = [round(float(side), 4) for side in box], accuracy.label(labels, int(kind))
            told.append({"box": sides, "name": name, "class": int(kind), "score": round(float(score), 3)})
    return told


def _draw(picture: Image.Image, found: list[dict[str, Any]]) -> None:
    canvas, font = ImageDraw.Draw(picture), ImageFont.load_default()
    for each in found:
        top, left, bottom, right = each["box"]
        colour = COLOURS[each["class"] % len(COLOURS)]
        corner = left * picture.width, top * picture.height
        canvas.rectangle([corner, (right * picture.width, bottom * picture.height)], outline=colour, width=2)
        text = "%s %.2f" % (each["name"], each["score"])
        place = corner[0], max(0, corner[1] - 11)
        canvas.rectangle(canvas.textbbox(place, text, font=font), fill=colour)
        canvas.text(place, text, fill="white", font=font)
