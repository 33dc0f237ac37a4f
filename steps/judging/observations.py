"""What a source's own model gives for some pictures: written by the programs that run sources, read by verify."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy
import protocol

from detection import boxes

PICTURES = 16  # a source is run on so many
RAW_PICTURES = 3  # the raw outputs of so many are kept: those of a large network take many megabytes
INDEX, ARRAYS = "observations.json", "observations.npz"


class Writer:
    """Keeps what a source gives, picture by picture. `against` says in words what was run."""

    def __init__(self, against: str) -> None:
        self._against = against
        self._names: list[str] = []
        self._arrays: dict[str, Any] = {}
        self._raw: set[str] = set()

    def add(
        self, name: str, raw: Mapping[str, numpy.ndarray], found: boxes.Found | None = None, own: boxes.Found | None = None
    ) -> None:
        """Keep one picture's. `found` are detections by the rules of the model's operator, `own` by the source's own last steps."""
        place = len(self._names)
        self._names.append(name)
        protocol.progress(place + 1, PICTURES, "pictures")
        if place < RAW_PICTURES:
            for output, value in raw.items():
                self._raw.add(output)
                self._arrays["%d raw %s" % (place, output)] = numpy.asarray(value, numpy.float32)
        for kind, each in (("found", found), ("own", own)):
            if each is not None:
                self._arrays.update({"%d %s %s" % (place, kind, key): value for key, value in each._asdict().items()})

    def write(self) -> dict[str, Any]:
        """What was run, on which pictures, and the names of the raw outputs. All of it is written to files."""
        if not self._names:
            raise protocol.Refused("none of the pictures can be read, so the model can't be compared with its source")
        numpy.savez(protocol.output_path(ARRAYS), **self._arrays)
        told = {"against": self._against, "pictures": self._names, "raw": sorted(self._raw)}
        protocol.write_json(protocol.output_path(INDEX), told)
        return told


class Observations:
    """What a Writer wrote, read again."""

    def __init__(self, folder: str) -> None:
        told = protocol.read_json(os.path.join(folder, INDEX))
        self.against: str = told["against"]
        self.names: list[str] = told["pictures"]
        self.outputs: list[str] = told["raw"]
        self._arrays = numpy.load(os.path.join(folder, ARRAYS))

    def raw(self, place: int) -> dict[str, numpy.ndarray]:
        """A picture's raw outputs by name; empty where they were not kept."""
        names = {name: "%d raw %s" % (place, name) for name in self.outputs}
        return {name: self._arrays[key] for name, key in names.items() if key in self._arrays.files}

    def found(self, place: int, kind: str = "found") -> boxes.Found | None:
        """A picture's detections; None where the source's outputs are not detections."""
        keys = ["%d %s %s" % (place, kind, key) for key in boxes.Found._fields]
        return boxes.Found(*(self._arrays[key] for key in keys)) if keys[0] in self._arrays.files else None
