"""What a source's own model gives for some pictures: written by the programs that run sources, read by verify."""

import os

import numpy
import protocol

import boxes

PICTURES = 16  # on which a source is run
RAW_PICTURES = 3  # of these, those whose raw outputs are kept: of a large network they are many megabytes
INDEX, ARRAYS = "observations.json", "observations.npz"


class Writer:
    """Notes what a source gives, picture by picture. `against` says in words what was run."""

    def __init__(self, against):
        self._against, self._names, self._arrays = against, [], {}
        self._raw = set()

    def add(self, name, raw, found=None, own=None):
        """`found` are detections by the rules of the model's operator, `own` those of the source's own last steps, if any."""
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

    def write(self):
        if not self._names:
            raise protocol.Refused("none of the pictures can be read, so the model can't be compared with its source")
        numpy.savez(protocol.output_path(ARRAYS), **self._arrays)
        told = {"against": self._against, "pictures": self._names, "raw": sorted(self._raw)}
        protocol.write_json(protocol.output_path(INDEX), told)
        return told


class Observations:
    """The same, read again."""

    def __init__(self, folder):
        told = protocol.read_json(os.path.join(folder, INDEX))
        self.against, self.names, self.outputs = told["against"], told["pictures"], told["raw"]
        self._arrays = numpy.load(os.path.join(folder, ARRAYS))

    def raw(self, place):
        """By name; empty for pictures whose raw outputs were not kept."""
        names = {name: "%d raw %s" % (place, name) for name in self.outputs}
        return {name: self._arrays[key] for name, key in names.items() if key in self._arrays.files}

    def found(self, place, kind="found"):
        """Detections; None where the source's outputs are no detections."""
        keys = ["%d %s %s" % (place, kind, key) for key in boxes.Found._fields]
        return boxes.Found(*(self._arrays[key] for key in keys)) if keys[0] in self._arrays.files else None
