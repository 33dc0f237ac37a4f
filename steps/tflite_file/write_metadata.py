"""TFLite metadata, written into a .tflite file: pixel normalisation, what each output means, the label file.

tflite-support writes it. The programs that call this read it back and check that it says what it should.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import protocol

from tflite_file import flat
from tflite_file.packed_metadata import LABELS

modules: Any = sys.modules
modules.setdefault("tensorflow", None)  # keeps tflite-support from importing it: that takes seconds, only to open files with it
try:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as metadata_schema
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, metadata_writer, object_detector
except ImportError:
    metadata_writer = None
if modules["tensorflow"] is None:
    del modules["tensorflow"]

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can have
DESCRIPTIONS = {
    "box_encodings": "Encoded boxes, one per anchor; see postprocess.json.",
    "class_predictions": "Scores per anchor and class, the background first.",
}


class Told(NamedTuple):
    """What is written. Where mean and std, or the labels, are empty, nothing is said about them."""

    name: str
    description: str
    license: str
    picture: str
    mean: list[float]
    std: list[float]
    labels: list[str]


def write(plain: bytes, told: Told) -> bytes:
    """The file with metadata. The outputs of `plain` have their names and are in order."""
    if metadata_writer is None:
        raise protocol.Refused(
            "tflite-support, which writes metadata, has no build for this system; use the images: --engine docker"
        )
    names = tuple(each["name"] for each in flat.describe(flat.read(bytearray(plain)))["outputs"])
    detects = names == flat.DETECTION_OUTPUTS
    with tempfile.TemporaryDirectory() as folder:
        files = [_label_file(folder, told.labels)] if told.labels else []
        writer = _writer(plain, told, files) if detects else _tensor_writer(plain, told, names, files)
        data = bytes(writer.populate())
    if flat.describe(flat.read(bytearray(plain))) != flat.describe(flat.read(bytearray(data))):
        raise protocol.Refused("tflite-support changed the graph while it wrote metadata")
    return _timeless(data) if files else data


def _label_file(folder: str, labels: list[str]) -> str:
    """The path of a file with these labels, a line each."""
    path = os.path.join(folder, LABELS)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("".join(label + "\n" for label in labels))
    return path


def _general(told: Told) -> Any:
    return metadata_info.GeneralMd(name=told.name, description=told.description, licenses=told.license)


def _input(plain: bytes, told: Told) -> Any:
    return metadata_info.InputImageTensorMd(
        name="image",
        description=told.picture,
        norm_mean=told.mean or None,
        norm_std=told.std or None,
        color_space_type=metadata_schema.ColorSpaceType.RGB,
        tensor_type=_input_type(plain),
    )


def _input_type(plain: bytes) -> Any:
    graph = flat.read(bytearray(plain)).subgraphs[0]
    return graph.tensors[graph.inputs[0]].type


def _writer(plain: bytes, told: Told, files: list[str]) -> Any:
    category = metadata_info.CategoryTensorMd(
        name="category",
        description="The class of each box, a line of the label file.",
        label_files=[metadata_info.LabelFileMd(file_path=path) for path in files],
    )
    return object_detector.MetadataWriter.create_from_metadata_info(
        bytearray(plain), general_md=_general(told), input_md=_input(plain, told), output_category_md=category
    )


def _tensor_writer(plain: bytes, told: Told, names: Sequence[str], files: list[str]) -> Any:
    """A writer for outputs that are not detections, under their own names."""
    outputs = [metadata_info.TensorMd(name=name, description=DESCRIPTIONS.get(name, "")) for name in names]
    return metadata_writer.MetadataWriter.create_from_metadata_info(
        bytearray(plain),
        general_md=_general(told),
        input_md=[_input(plain, told)],
        output_md=outputs,
        associated_files=files,
    )


def _timeless(data: bytes) -> bytes:
    """The file without the time at which its labels were packed: the same build gives the same bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        entries = [(entry.filename, packed.read(entry)) for entry in packed.infolist()]
        start = min(entry.header_offset for entry in packed.infolist())
    stream = io.BytesIO()
    stream.write(data[:start])
    with zipfile.ZipFile(stream, "a") as packed:
        for name, content in entries:
            packed.writestr(zipfile.ZipInfo(name, LONG_AGO), content)
    return stream.getvalue()
