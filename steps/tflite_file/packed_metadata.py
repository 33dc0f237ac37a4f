"""What a .tflite says about itself: TFLite metadata and the label file packed behind it. Only the file itself is read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Any, NamedTuple

try:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as schema
except ImportError:
    schema = None

NAME = b"TFLITE_METADATA"
LABELS = "labelmap.txt"
CHANNELS = 3

# What the readers of flatbuffers and of ZIP files raise for damaged ones, and for label files that are named but not packed.
UNREADABLE = (
    struct.error, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError, EOFError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Packed(NamedTuple):
    """Names of the outputs, labels, and (mean, std) of pixels, each empty where the file says nothing."""

    outputs: list[str]
    labels: list[str]
    pixels: tuple[list[float], list[float]] | None


def read(model: Any, data: bytes) -> tuple[Packed, list[str]]:
    """What the file says about itself; and warnings."""
    found = entry(model)
    if found is None or schema is None:
        return Packed([], [], None), []
    try:
        raw = bytearray(bytes(model.buffers[found.buffer].data))
        told = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAsModelMetadata(raw, 0)).subgraphMetadata[0]
        outputs = [each.name.decode() if each.name else "" for each in told.outputTensorMetadata or []]
        return Packed(outputs, _labels(told, data), _pixels(told)), []
    except UNREADABLE:
        return Packed([], [], None), ["the file's metadata can't be read and is left out"]


def drop(model: Any) -> None:
    """Remove the metadata: the bundle's own is written later."""
    found = entry(model)
    if found is not None:
        model.buffers[found.buffer].data = None
        model.metadata = [each for each in model.metadata if each is not found]


def entry(model: Any) -> Any:
    """The model's entry that names the buffer of its metadata; None if it has none."""
    return next((each for each in model.metadata or [] if bytes(each.name) == NAME), None)


def _pixels(told: Any) -> tuple[list[float], list[float]] | None:
    """Mean and std of pixels, each for every channel; None where the file says nothing."""
    for unit in told.inputTensorMetadata[0].processUnits or []:
        if unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions:
            mean, std = ([float(each) for each in getattr(unit.options, key)] for key in ("mean", "std"))
            return (mean * CHANNELS if len(mean) == 1 else mean, std * CHANNELS if len(std) == 1 else std)
    return None


def _labels(told: Any, data: bytes) -> list[str]:
    """The lines of the label file that an output names; where none is named, of the one with the usual name."""
    files = [each for output in told.outputTensorMetadata or [] for each in output.associatedFiles or []]
    kinds = (schema.AssociatedFileType.TENSOR_VALUE_LABELS, schema.AssociatedFileType.TENSOR_AXIS_LABELS)
    names = [each.name.decode() for each in files if each.type in kinds]
    if not names and not zipfile.is_zipfile(io.BytesIO(data)):
        return []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = names or [name for name in archive.namelist() if name == LABELS]
        return archive.read(names[0]).decode("utf-8").splitlines() if names else []
