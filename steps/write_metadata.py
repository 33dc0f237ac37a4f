"""TFLite metadata, written into a .tflite file: pixel normalisation, what each output means, the label file.

tflite-support writes it. Whoever calls this reads it back and holds it against what was meant.
"""

import collections
import io
import os
import sys
import tempfile
import zipfile

import protocol

import flat
from packed_metadata import LABELS

sys.modules.setdefault("tensorflow", None)  # tflite-support would import it, seconds for nothing: only to open files with it
try:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as metadata_schema
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, metadata_writer, object_detector
except ImportError:
    metadata_writer = None
if sys.modules["tensorflow"] is None:
    del sys.modules["tensorflow"]

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can bear
DESCRIPTIONS = {
    "box_encodings": "Encoded boxes, one per anchor; see postprocess.json.",
    "class_predictions": "Scores per anchor and class, the background first.",
}
# What is written. Mean and std may be empty: nothing is said then; so may labels.
Told = collections.namedtuple("Told", "name description license picture mean std labels")


def write(plain, told):
    """The file with metadata. `plain` has its outputs named and in their order."""
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


def _label_file(folder, labels):
    path = os.path.join(folder, LABELS)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("".join(label + "\n" for label in labels))
    return path


def _general(told):
    return metadata_info.GeneralMd(name=told.name, description=told.description, licenses=told.license)


def _input(plain, told):
    return metadata_info.InputImageTensorMd(
        name="image",
        description=told.picture,
        norm_mean=told.mean or None,
        norm_std=told.std or None,
        color_space_type=metadata_schema.ColorSpaceType.RGB,
        tensor_type=_input_type(plain),
    )


def _input_type(plain):
    graph = flat.read(bytearray(plain)).subgraphs[0]
    return graph.tensors[graph.inputs[0]].type


def _writer(plain, told, files):
    category = metadata_info.CategoryTensorMd(
        name="category",
        description="The class of each box, a line of the label file.",
        label_files=[metadata_info.LabelFileMd(file_path=path) for path in files],
    )
    return object_detector.MetadataWriter.create_from_metadata_info(
        bytearray(plain), general_md=_general(told), input_md=_input(plain, told), output_category_md=category
    )


def _tensor_writer(plain, told, names, files):
    """Outputs that are no detections are called what they are."""
    outputs = [metadata_info.TensorMd(name=name, description=DESCRIPTIONS.get(name, "")) for name in names]
    return metadata_writer.MetadataWriter.create_from_metadata_info(
        bytearray(plain),
        general_md=_general(told),
        input_md=[_input(plain, told)],
        output_md=outputs,
        associated_files=files,
    )


def _timeless(data):
    """The same file without the time at which its labels were packed: the same build gives the same bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        entries = [(entry.filename, packed.read(entry)) for entry in packed.infolist()]
        start = min(entry.header_offset for entry in packed.infolist())
    stream = io.BytesIO()
    stream.write(data[:start])
    with zipfile.ZipFile(stream, "a") as packed:
        for name, content in entries:
            packed.writestr(zipfile.ZipInfo(name, LONG_AGO), content)
    return stream.getvalue()
