"""Run pictures through the float model and record the range of every tensor: once, for all integer variants.

Pictures are decoded one at a time, so a thousand take no more memory than a hundred.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy
import protocol
import tensorflow as tf

from detection import pictures
from judging import picture_names
from tflite_file import converted

if TYPE_CHECKING:
    from collections.abc import Iterator

ENOUGH = 100
TOO_FEW = 10


class Summary:
    """What is recorded about the pictures as they stream by."""

    def __init__(self) -> None:
        self.used: list[dict[str, str]] = []
        self.unreadable: list[dict[str, str]] = []
        self.constant: list[str] = []
        self.duplicates: list[dict[str, str]] = []
        self.low, self.high, self.total = numpy.full(3, numpy.inf), numpy.full(3, -numpy.inf), numpy.zeros(3)
        self._by_hash: dict[str, str] = {}
        self.ended = False

    def is_new(self, name: str, path: str) -> bool:
        """Whether no picture before had the same bytes; a new one is recorded as used."""
        digest = protocol.sha256_file(path)
        if digest in self._by_hash:
            self.duplicates.append({"name": name, "same_as": self._by_hash[digest]})
            return False
        self._by_hash[digest] = name
        self.used.append({"name": name, "sha256": digest})
        return True

    def drop_last(self) -> None:
        self.used.pop()

    def note(self, batch: numpy.ndarray) -> None:
        flatly = batch.reshape(-1, 3).astype(numpy.float64)
        self.low, self.high = numpy.minimum(self.low, flatly.min(0)), numpy.maximum(self.high, flatly.max(0))
        self.total += flatly.mean(0)

    def as_dict(self) -> dict[str, Any]:
        channels = [
            {"min": round(float(low), 4), "max": round(float(high), 4), "mean": round(float(total) / max(1, len(self.used)), 4)}
            for low, high, total in zip(self.low, self.high, self.total)
        ]
        return {
            "pictures": self.used,
            "count": len(self.used),
            "unreadable": self.unreadable,
            "constant": self.constant,
            "duplicates": self.duplicates,
            "channels": channels if self.used else [],
        }


def calibrate(args: dict[str, Any]) -> dict[str, Any]:
    exported = protocol.input_path("exported")
    contract, summary = converted.read_contract(exported), Summary()
    feed = _noise(args, contract, summary) if args.get("random") else _pictures(args, contract, summary)
    try:
        seen = _to_the_end(feed, summary)
        calibrated = converted.attempt(lambda: _calibrate(os.path.join(exported, "saved_model"), seen, args))
    except protocol.Refused:
        if summary.ended:
            _refuse_too_few(summary)  # without pictures the converter fails: give that as the reason
        raise
    _refuse_too_few(summary)
    with open(protocol.output_path("calibrated.tflite"), "wb") as stream:
        stream.write(calibrated)
    shutil.copyfile(os.path.join(exported, "contract.json"), protocol.output_path("contract.json"))
    result = dict(summary.as_dict(), random=bool(args.get("random")), seed=args["seed"], tensorflow=tf.__version__)
    return dict(result, warnings=_warnings(result))


def _to_the_end(feed: Iterator[list[numpy.ndarray]], summary: Summary) -> Iterator[list[numpy.ndarray]]:
    """The same pictures; `summary.ended` then says that all were consumed, so a failure isn't the pictures'."""
    yield from feed
    summary.ended = True


def _calibrate(saved_model: str, feed: Iterator[list[numpy.ndarray]], args: dict[str, Any]) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    converted.allow(converter, args)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: feed
    converter._experimental_calibrate_only = True
    calibrated: bytes = converter.convert()
    return calibrated


def _pictures(args: dict[str, Any], contract: dict[str, Any], summary: Summary) -> Iterator[list[numpy.ndarray]]:
    folder = protocol.input_path("pictures")
    names = args.get("pictures") or picture_names.listed(folder)
    for place, name in enumerate(names):
        path = os.path.join(folder, name)
        try:
            if not summary.is_new(name, path):
                continue
            picture = pictures.load(path)
        except pictures.Unreadable as error:
            summary.unreadable.append({"name": name, "why": str(error)})
            if summary.used and summary.used[-1]["name"] == name:
                summary.drop_last()
            continue
        pixels, _ = pictures.fit(picture, contract)
        if pixels.min() == pixels.max():
            summary.constant.append(name)
        batch = pictures.normalise(pixels, contract)
        summary.note(batch)
        yield [batch]
        protocol.progress(place + 1, len(names), "pictures")


def _noise(args: dict[str, Any], contract: dict[str, Any], summary: Summary) -> Iterator[list[numpy.ndarray]]:
    """Random batches: they have the right range and nothing else, which is enough for trying things."""
    draw = numpy.random.RandomState(args["seed"])
    low, high = contract["range"]
    for place in range(args["random"]):
        batch = draw.uniform(low, high, (1, contract["height"], contract["width"], 3)).astype(numpy.float32)
        summary.used.append({"name": "noise %d" % place, "sha256": ""})
        summary.note(batch)
        yield [batch]


def _refuse_too_few(summary: Summary) -> None:
    if len(summary.used) < TOO_FEW:
        left_out = len(summary.unreadable) + len(summary.duplicates)
        also = "; %d were unreadable or the same as others" % left_out if left_out else ""
        first = "; the first: %s: %s" % tuple(summary.unreadable[0].values()) if summary.unreadable else ""
        raise protocol.Refused("%d usable pictures, at least %d are needed%s%s" % (len(summary.used), TOO_FEW, also, first))


def _warnings(result: dict[str, Any]) -> list[str]:
    """What people should know before they trust the numbers."""
    found = []
    if result["random"]:
        found.append("calibrated with random noise: not for use")
    elif result["count"] < ENOUGH:
        found.append("calibrated with %d pictures, fewer than %d: accuracy may suffer" % (result["count"], ENOUGH))
    for name, meaning in (
        ("unreadable", "can't be read"),
        ("duplicates", "are copies of others"),
        ("constant", "have one colour only"),
    ):
        if result[name]:
            first = "; the first: %(name)s: %(why)s" % result[name][0] if name == "unreadable" else ""
            found.append("%d pictures %s%s" % (len(result[name]), meaning, first))
    return found


if __name__ == "__main__":
    protocol.main(calibrate)
