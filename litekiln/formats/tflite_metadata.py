"""Read a .tflite file's TFLite metadata, and the files packed behind the model as a zip."""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from litekiln.formats import ultralytics
from litekiln.formats.flatbuffer import Flatbuffer, Table
from litekiln.formats.ultralytics import Ultralytics, read_ultralytics
from litekiln.formats.zips import open_zip

NORMALIZATION = 1  # a type of a process unit's options
MOST_WORK = 50_000  # published files need about 30
AXIS_LABELS, VALUE_LABELS = 2, 3  # kinds of associated files
LARGEST_INDEX = 1 << 16  # bytes of a zip's directory: metadata packs a handful of files
LARGEST_TEXT, MOST_TEXTS = 1 << 18, 8
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, ValueError, OSError, EOFError, RuntimeError, struct.error, OverflowError
)  # fmt: skip


@dataclass(frozen=True)
class TensorNotes:
    """What metadata says about one input or output. `mean` and `std` are empty if it doesn't say how pixels are normalised."""

    name: str
    mean: list[float]
    std: list[float]
    label_files: list[str]


@dataclass(frozen=True)
class Metadata:
    name: str
    description: str
    license: str
    inputs: list[TensorNotes]
    outputs: list[TensorNotes]

    @property
    def label_files(self) -> list[str]:
        """The label files that the outputs name."""
        return [name for output in self.outputs for name in output.label_files]


@dataclass(frozen=True)
class Packed:
    """The files behind the model: their names, the contents of those that may be label files, and what Ultralytics wrote."""

    names: list[str]
    texts: dict[str, list[str]]
    ultralytics: Ultralytics | None = None


def read_metadata(data: bytes) -> Metadata:
    root = Flatbuffer(data, MOST_WORK).root()
    graphs = root.tables(3)
    inputs, outputs = ([_notes(each) for each in graphs[0].tables(place)] if graphs else [] for place in (2, 3))
    return Metadata(root.text(0), root.text(1), root.text(5), inputs, outputs)


def _notes(table: Table) -> TensorNotes:
    mean: list[float] = []
    std: list[float] = []
    for unit in table.tables(4):
        options = unit.table(1) if unit.number(0, "B") == NORMALIZATION else None
        if options:
            mean, std = options.floats(0), options.floats(1)
    files = [each.text(0) for each in table.tables(6) if each.number(2, "b") in (AXIS_LABELS, VALUE_LABELS)]
    return TensorNotes(table.text(0), mean, std, files)


def read_packed(stream: BinaryIO) -> Packed:
    """The packed files; none if the zip is missing or broken: a model works without them."""
    try:
        with open_zip(stream, largest_directory=LARGEST_INDEX) as archive:
            entries = archive.infolist()
            told = _ultralytics(archive, entries)
            texts = [each for each in entries if each.filename.lower().endswith(".txt") and each.filename not in ultralytics.FILES]
            lines = {each.filename: _text(archive, each).splitlines() for each in texts[:MOST_TEXTS]}
            return Packed(archive.namelist(), lines, told)
    except UNREADABLE:
        return Packed([], {})


def _ultralytics(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> Ultralytics | None:
    """What the first file that may be theirs says."""
    found = next((entry for entry in entries if entry.filename in ultralytics.FILES), None)
    return read_ultralytics(_text(archive, found)) if found else None


def _text(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """The file's text; empty if it is damaged, or too large for a list of names."""
    if entry.compress_type not in READABLE:
        return ""
    try:
        with archive.open(entry) as stream:
            data = stream.read(LARGEST_TEXT + 1)
    except UNREADABLE:
        return ""
    return data.decode("utf-8", "backslashreplace") if len(data) <= LARGEST_TEXT else ""
