"""The bundle in the image: its contract, its labels and its model.

`detection` is the folder of steps/ that the verification used, copied unchanged into the image: the code that was verified
runs here.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy
from ai_edge_litert.interpreter import Interpreter
from detection import detector, pictures
from PIL import Image

from litekiln_pi.errors import BadBundle
from litekiln_pi.frames import Detection
from litekiln_pi.place import here

FOLDER = Path(os.environ.get("LITEKILN_BUNDLE", "/opt/litekiln/bundle"))
HIDDEN = "???"  # the label of ids that have no class
TINY = 1e-6  # pixels: more than places are rounded by, less than two differ
Prepared = tuple[numpy.ndarray, tuple[float, float]]  # the network's input, and the shares of its sides that the picture fills


class Bundle:
    """The bundle's report, manifest and labels; `open` loads the model."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        try:
            self.report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            self.labels = (folder / "labelmap.txt").read_text(encoding="utf-8").splitlines()
            self.contract: dict[str, Any] = self.report["contract"]
        except (OSError, ValueError, KeyError) as error:
            msg = f"{folder} is not a bundle that can be run: {error}"
            how = here("LITEKILN_BUNDLE must name the bundle's folder; images set it themselves", "run the same command again")
            raise BadBundle(msg, how) from None

    @property
    def name(self) -> str:
        return f"{self.manifest['model']} {self.manifest['variant']}"

    @property
    def names(self) -> list[str]:
        """The labels, without ids that have no class."""
        return [each for each in self.labels if each != HIDDEN]

    def label(self, kind: int) -> str:
        return self.labels[kind] if 0 <= kind < len(self.labels) else f"class {kind}"

    def open(self, threads: int) -> "Model":
        try:
            return Model(self, threads)
        except (OSError, ValueError, RuntimeError) as error:
            msg = f"the model of {self.folder} can't be run: {error}"
            raise BadBundle(msg, here("build the image again: inv pi", "build the bundle again: inv build --force")) from None


class Model:
    """The model in an interpreter. One thread at a time runs it; any thread may prepare pictures."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.bundle, self.threads = bundle, threads
        self._contract = bundle.contract
        path = str(bundle.folder / "detect.tflite")
        self._detector = detector.Detector(Interpreter(model_path=path, num_threads=threads), str(bundle.folder), self._contract)
        if not self._detector.detects:
            msg = f"{bundle.name} gives plain tensors, not detections: there is nothing to draw"
            raise BadBundle(msg, "only detectors run on the Pi's page")
        self._lock = threading.Lock()
        self._codes = self._codes_of_bytes()
        self._alike = bool((self._codes == self._codes[0]).all())

    @property
    def size(self) -> tuple[int, int]:
        """The size of the network's input, as (width, height)."""
        return self._contract["width"], self._contract["height"]

    def prepare(self, picture: Image.Image) -> Prepared:
        """The network's input, exactly as the verification prepares it."""
        pixels, shares = pictures.fit(picture, self._contract)
        return self._detector.typed(pictures.normalise(pixels, self._contract)), shares

    def prepare_quickly(self, picture: Image.Image) -> Prepared:
        """The network's input in a fraction of the time: it resizes bytes, then looks up their codes.

        It differs from `prepare` by at most one step of 255, or two where the model takes bytes.
        """
        width, height = self.size
        inner_width, inner_height = self._inner(picture)
        if picture.width < inner_width or picture.height < inner_height:  # Pillow leaves the last edge black when it enlarges
            return self.prepare(picture)
        small = _resized(picture, inner_width, inner_height)
        batch = numpy.empty((1, height, width, 3), self._codes.dtype)
        if (inner_width, inner_height) != (width, height):
            batch[0] = self._padding
        # mode="clip": every byte has a code, and "raise" would go through a buffer
        if self._alike:
            numpy.take(self._codes[0], small, out=batch[0, :inner_height, :inner_width], mode="clip")
        else:
            for channel in range(3):
                target = batch[0, :inner_height, :inner_width, channel]
                numpy.take(self._codes[channel], small[:, :, channel], out=target, mode="clip")
        return batch, (inner_width / width, inner_height / height)

    def run(self, prepared: Prepared) -> Any:
        """The detections: boxes as shares of the picture, class ids and scores."""
        batch, shares = prepared
        with self._lock:
            self._detector.feed(batch)
            return self._detector.read(shares)

    def compute(self, prepared: Prepared) -> None:
        """Run the network alone. `read` then gives what it found, if no other thread ran it meanwhile."""
        with self._lock:
            self._detector.feed(prepared[0])

    def read(self, prepared: Prepared) -> Any:
        """What the last run found: see `run`."""
        with self._lock:
            return self._detector.read(prepared[1])

    def blank(self) -> Prepared:
        """A grey picture, for measuring how long the network takes."""
        return self.prepare(Image.new("RGB", self.size, "grey"))

    def look(self, picture: Image.Image) -> Any:
        return self.run(self.prepare(picture))

    def detections(self, found: Any, width: int, height: int, threshold: float) -> tuple[Detection, ...]:
        """Detections with names, in pixels of the original picture, without ids that have no class."""
        named = []
        for (top, left, bottom, right), kind, score in zip(*found, strict=True):
            name = self.bundle.label(int(kind))
            if score >= threshold and name != HIDDEN:
                box = (float(left) * width, float(top) * height, float(right) * width, float(bottom) * height)
                named.append(Detection(name, int(kind), float(score), box))
        return tuple(named)

    def _codes_of_bytes(self) -> numpy.ndarray:
        """The network's input value for each channel and byte; it also sets the value of the padding."""
        ramp = numpy.repeat(numpy.arange(256, dtype=numpy.float32)[numpy.newaxis, :, numpy.newaxis], 3, axis=2)
        codes = self._detector.typed(pictures.normalise(ramp, self._contract))[0, 0]
        if self._contract["padding"]:
            padding = numpy.array(self._contract["padding"], numpy.float32)[numpy.newaxis, numpy.newaxis]
            self._padding = self._detector.typed(pictures.normalise(padding, self._contract))[0, 0, 0]
        return numpy.ascontiguousarray(codes.T)

    def _inner(self, picture: Image.Image) -> tuple[int, int]:
        """The size of the part of the network's input that the picture fills."""
        width, height = self.size
        if self._contract["resize"] == "stretch":
            return width, height
        scale = min(height / picture.height, width / picture.width)
        return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def _resized(picture: Image.Image, width: int, height: int) -> numpy.ndarray:
    """The pixels of the picture, resized like pictures.fit does: bilinear, aligned at the first pixels' corners, not smoothed."""
    across, down = picture.width / width, picture.height / height
    if picture.width % width:
        # Pillow counts from the middle of a pixel, the training's resize from its corner
        places = (across, 0, (1 - across) / 2, 0, down, (1 - down) / 2)
        return numpy.asarray(picture.transform((width, height), Image.Transform.AFFINE, places, Image.Resampling.BILINEAR))
    # A camera's width is often a multiple of the network's. Then no column lies between two others, and it takes a quarter of the
    # time to pick pixels and mix rows.
    upper = _picked(picture, width, height, 0)
    if not picture.height % height:
        return upper
    rows = numpy.arange(height) * down
    shares = numpy.round((rows - numpy.floor(rows + TINY)) * 256).astype(numpy.uint16)[:, numpy.newaxis, numpy.newaxis]
    mixed = upper * (256 - shares)  # at most 255 * 256, for which 16 bits are enough
    mixed += _picked(picture, width, height, 1) * shares
    mixed += 128
    mixed >>= 8
    small: numpy.ndarray = mixed.astype(numpy.uint8)
    return small


def _picked(picture: Image.Image, width: int, height: int, below: int) -> numpy.ndarray:
    """The pixels at or before each place of a smaller size, and so many rows below."""
    across, down = picture.width / width, picture.height / height
    places = (across, 0, TINY - across / 2, 0, down, TINY - down / 2 + below)
    return numpy.asarray(picture.transform((width, height), Image.Transform.AFFINE, places, Image.Resampling.NEAREST))
