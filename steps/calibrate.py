"""Run pictures through the float model and record the range of every tensor: once, for all integer variants.

Pictures are decoded one at a time, so a thousand take no more memory than a hundred.
"""

from __future__ import annotations

import collections
import itertools
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy
import protocol
import tensorflow as tf

from detection import pictures
from judging import odd_pictures, picture_names
from tflite_file import converted, exact_ranges, flat, float_tail

if TYPE_CHECKING:
    from collections.abc import Iterator

ENOUGH = 100
TOO_FEW = 10
AT_ONCE = 2  # pictures: each takes as much memory as its network's largest tensors


class Summary:
    """What is recorded about the pictures as they stream by."""

    def __init__(self) -> None:
        self.used: list[dict[str, str]] = []
        self.unreadable: list[dict[str, str]] = []
        self.odd: dict[str, list[str]] = {kind: [] for kind in odd_pictures.MEANINGS}
        self.duplicates: list[dict[str, str]] = []
        self.low, self.high, self.total = numpy.full(3, numpy.inf), numpy.full(3, -numpy.inf), numpy.zeros(3)
        self._by_hash: dict[str, str] = {}

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

    def note_kind(self, name: str, kind: str) -> None:
        if kind:
            self.odd[kind].append(name)

    def note(self, batch: numpy.ndarray) -> None:
        channels = numpy.ascontiguousarray(batch.reshape(-1, 3).T)
        self.low, self.high = numpy.minimum(self.low, channels.min(1)), numpy.maximum(self.high, channels.max(1))
        self.total += channels.mean(1, dtype=numpy.float64)

    def as_dict(self) -> dict[str, Any]:
        channels = [
            {"min": round(float(low), 4), "max": round(float(high), 4), "mean": round(float(total) / max(1, len(self.used)), 4)}
            for low, high, total in zip(self.low, self.high, self.total)
        ]
        return {
            "pictures": self.used,
            "count": len(self.used),
            "unreadable": self.unreadable,
            "constant": [name for kind, names in self.odd.items() if kind != odd_pictures.NOISE for name in names],
            "noise": self.odd[odd_pictures.NOISE],
            "duplicates": self.duplicates,
            "channels": channels if self.used else [],
        }


def calibrate(args: dict[str, Any]) -> dict[str, Any]:
    exported = protocol.input_path("exported")
    contract, summary = converted.read_contract(exported), Summary()
    if args.get("random"):
        feed = _noise(args, contract, summary)
    else:
        folder = protocol.input_path("pictures")
        names = args.get("pictures") or picture_names.listed(folder)
        odd_pictures.require_enough(folder, names, TOO_FEW)  # before anything is converted, which takes minutes
        feed = _pictures(folder, names, contract, summary)
    saved_model = os.path.join(exported, "saved_model")
    calibrated, inexact = _calibrate(saved_model, next(feed), feed, contract, args)
    with open(protocol.output_path("calibrated.tflite"), "wb") as stream:
        stream.write(calibrated)
    shutil.copyfile(os.path.join(exported, "contract.json"), protocol.output_path("contract.json"))
    result = dict(summary.as_dict(), random=bool(args.get("random")), seed=args["seed"], tensorflow=tf.__version__)
    return dict(result, warnings=_warnings(result, summary.odd), inexact=inexact)


def _calibrate(
    saved_model: str, first: numpy.ndarray, feed: Iterator[numpy.ndarray], contract: dict[str, Any], args: dict[str, Any]
) -> tuple[bytes, list[str]]:
    """The model with its ranges, and the operators for which TensorFlow's own kernels had to be used.

    Those give other last bits on another processor. They are used for the whole model if one of its operators isn't known to be
    computed exactly, or if what is computed for the first picture isn't what TensorFlow's kernels compute.
    """
    model = flat.read(bytearray(_by_tensorflow(saved_model, iter([first]), args)))
    network = exact_ranges.Network(model, float_tail.network(model) if contract["outputs"] == "detections" else None)
    inexact = network.unknown() or network.differs(first)
    if inexact:
        return _by_tensorflow(saved_model, itertools.chain([first], feed), args), inexact
    exact_ranges.write(model, _ranges(network, itertools.chain([first], feed)))
    return flat.write(model), []


def _ranges(network: exact_ranges.Network, feed: Iterator[numpy.ndarray]) -> dict[int, exact_ranges.Range]:
    """The ranges over all pictures, a few of which are computed at once. In which order they come together doesn't matter."""
    found: dict[int, exact_ranges.Range] = {}
    running: collections.deque[Future[dict[int, exact_ranges.Range]]] = collections.deque()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for batch in feed:
            running.append(pool.submit(network.ranges, batch))
            if len(running) > AT_ONCE:
                found = exact_ranges.join(found, running.popleft().result())
        for each in running:
            found = exact_ranges.join(found, each.result())
    return found


def _by_tensorflow(saved_model: str, feed: Iterator[numpy.ndarray], args: dict[str, Any]) -> bytes:
    converter = converted.converter(saved_model, args)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([batch] for batch in feed)
    converter._experimental_calibrate_only = True
    return converted.attempt(converter.convert)


def _pictures(folder: str, names: list[str], contract: dict[str, Any], summary: Summary) -> Iterator[numpy.ndarray]:
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
        summary.note_kind(name, odd_pictures.kind(picture))
        pixels, _ = pictures.fit(picture, contract)
        batch = pictures.normalise(pixels, contract)
        summary.note(batch)
        yield batch
        protocol.progress(place + 1, len(names), "pictures")


def _noise(args: dict[str, Any], contract: dict[str, Any], summary: Summary) -> Iterator[numpy.ndarray]:
    """Random batches: they have the right range and nothing else, which is enough for trying things."""
    draw = numpy.random.RandomState(args["seed"])
    low, high = contract["range"]
    for place in range(args["random"]):
        batch = draw.uniform(low, high, (1, contract["height"], contract["width"], 3)).astype(numpy.float32)
        summary.used.append({"name": "noise %d" % place, "sha256": ""})
        summary.note(batch)
        yield batch


def _warnings(result: dict[str, Any], odd: dict[str, list[str]]) -> list[str]:
    """What people should know before they trust the numbers."""
    found = []
    if result["random"]:
        found.append("calibrated with random noise: not for use")
    elif result["count"] < ENOUGH:
        found.append("calibrated with %d pictures, fewer than %d: accuracy may suffer" % (result["count"], ENOUGH))
    for name, meaning in (("unreadable", "can't be read"), ("duplicates", "are copies of others")):
        if result[name]:
            first = "; the first: %(name)s: %(why)s" % result[name][0] if name == "unreadable" else ""
            found.append("%d pictures %s%s" % (len(result[name]), meaning, first))
    found += ["calibrated with pictures that don't help, or harm; %s" % each for each in odd_pictures.told(odd)]
    return found


if __name__ == "__main__":
    protocol.main(calibrate)
