"""Write into a converted model what it is: TFLite metadata with pixel normalisation, the meaning of each tensor and the label file.
Draw its graph beside it.

tflite-support writes the metadata; what it wrote is read back and held against what was meant.
"""

import io
import os
import shutil
import sys
import zipfile

import protocol

import contract_checks
import flat
import graph_facts
import graph_picture
import packed_metadata
from packed_metadata import LABELS

sys.modules["tensorflow"] = None  # tflite-support would import it, seconds for nothing: only to open files with it
try:
    from tensorflow_lite_support.metadata import metadata_schema_py_generated as metadata_schema
    from tensorflow_lite_support.metadata.python import metadata
    from tensorflow_lite_support.metadata.python.metadata_writers import metadata_info, metadata_writer, object_detector
except ImportError:
    metadata = None

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can bear
DESCRIPTIONS = {
    "box_encodings": "Encoded boxes, one per anchor; see postprocess.json.",
    "class_predictions": "Scores per anchor and class, the background first.",
}
EXTRA_FILES = ("anchors.npy", "postprocess.json", "graph-tf1.dot")


def annotate(args):
    if metadata is None:
        raise protocol.Refused(
            "tflite-support, which writes metadata, has no build for this system; use the images: --engine docker"
        )
    converted = protocol.input_path("converted")
    contract = protocol.read_json(os.path.join(protocol.input_path("exported"), "contract.json"))
    labels = args["labels"] or _packed_labels()
    if not labels and contract["outputs"] != "tensors":
        raise protocol.Refused('there is no label map: name one in its model.toml: [labels] file = "labels.txt"')
    with open(os.path.join(converted, "detect.tflite"), "rb") as stream:
        plain = stream.read()
    with open(protocol.output_path(LABELS), "w", encoding="utf-8") as stream:
        stream.write("".join(label + "\n" for label in labels))
    names = tuple(each["name"] for each in flat.describe(flat.read(bytearray(plain)))["outputs"])
    detects = names == flat.DETECTION_OUTPUTS
    writer = _writer(plain, args, contract) if detects else _tensor_writer(plain, args, contract, names)
    data = _timeless(bytes(writer.populate()))
    _check(data, plain, labels, contract)
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    with open(protocol.output_path("graph.svg"), "w", encoding="utf-8") as stream:
        stream.write(graph_picture.draw(graph_facts.read(data))[1])
    for name in EXTRA_FILES:
        if os.path.exists(os.path.join(converted, name)):
            shutil.copyfile(os.path.join(converted, name), protocol.output_path(name))
    described = flat.describe(flat.read(bytearray(data)))
    return dict(
        described,
        size=len(data),
        sha256=protocol.sha256_file(protocol.output_path("detect.tflite")),
        input_type=described["inputs"][0]["type"],
        labels=len(labels),
    )


def _packed_labels():
    """Those that a finished source had in its own metadata."""
    path = os.path.join(protocol.input_path("exported"), LABELS)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def _general(args, contract):
    what = {"tensors": "Gives tensors", "detections": "Detector"}.get(contract["outputs"], "SSD detector")
    described = "%s, variant %s" % (what, args["variant"])
    return metadata_info.GeneralMd(name=args["model"], description=described, licenses=args["license"])


def _input(plain, contract):
    return metadata_info.InputImageTensorMd(
        name="image",
        description="RGB, %d x %d, resized by %s" % (contract["width"], contract["height"], contract["resize"]),
        norm_mean=contract["mean"],
        norm_std=contract["std"],
        color_space_type=metadata_schema.ColorSpaceType.RGB,
        tensor_type=_input_type(plain),
    )


def _input_type(plain):
    graph = flat.read(bytearray(plain)).subgraphs[0]
    return graph.tensors[graph.inputs[0]].type


def _writer(plain, args, contract):
    category = metadata_info.CategoryTensorMd(
        name="category",
        description="The class of each box, a line of the label file.",
        label_files=[metadata_info.LabelFileMd(file_path=protocol.output_path(LABELS))],
    )
    return object_detector.MetadataWriter.create_from_metadata_info(
        bytearray(plain), general_md=_general(args, contract), input_md=_input(plain, contract), output_category_md=category
    )


def _tensor_writer(plain, args, contract, names):
    """Outputs that are no detections are called what they are."""
    outputs = [metadata_info.TensorMd(name=name, description=DESCRIPTIONS.get(name, "")) for name in names]
    return metadata_writer.MetadataWriter.create_from_metadata_info(
        bytearray(plain),
        general_md=_general(args, contract),
        input_md=[_input(plain, contract)],
        output_md=outputs,
        associated_files=[protocol.output_path(LABELS)],
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


def _check(data, plain, labels, contract):
    """Read it back: the graph untouched, the normalisation and the meanings right, the labels inside."""
    before, model = flat.describe(flat.read(bytearray(plain))), flat.read(bytearray(data))
    if before != flat.describe(model):
        raise protocol.Refused("tflite-support changed the graph while it wrote metadata")
    packed, _ = packed_metadata.read(model, data)
    contract_checks.require(contract_checks.of_words(model, contract, labels, packed))


if __name__ == "__main__":
    protocol.main(annotate)
