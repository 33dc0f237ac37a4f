"""Models in the formats of TensorFlow and Keras, written byte by byte: SavedModels, graphs, Keras files, .tflite."""

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from litekiln.formats.hdf5 import MAGIC
from tests.helpers.checkpoints import varint, write_checkpoint
from tests.helpers.tflite_files import CONV, DEQUANTIZE, POSTPROCESS, Model, Operator, Tensor

FLOAT, UINT8 = 1, 4  # TensorFlow's type numbers
PICTURE = (1, 48, 64, 3)
MIDDLE = {"uint8": 128, "int8": 0}  # zero points of inputs for pixels from -1 to 1
Tensors = Mapping[str, tuple[int, tuple[int, ...] | None]]
DETECTIONS: Tensors = {
    "detection_boxes": (FLOAT, (1, 100, 4)),
    "detection_classes": (FLOAT, (1, 100)),
    "detection_scores": (FLOAT, (1, 100)),
    "num_detections": (FLOAT, (1,)),
    "raw_detection_boxes": (FLOAT, (1, 1917, 4)),
}


# Protobuf


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value if value >= 0 else value + (1 << 64))


def message(field: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def entry(field: int, key: str, value: bytes) -> bytes:
    """An entry of a map."""
    return message(field, message(1, key) + message(2, value))


def shape(sizes: tuple[int, ...] | None) -> bytes:
    return number(3, 1) if sizes is None else b"".join(message(2, number(1, size)) for size in sizes)


# SavedModels


def signature(inputs: Tensors, outputs: Tensors) -> bytes:
    def tensors(field: int, given: Tensors) -> bytes:
        return b"".join(
            entry(field, name, message(1, f"{name}:0") + number(2, dtype) + message(3, shape(sizes)))
            for name, (dtype, sizes) in given.items()
        )

    return tensors(1, inputs) + tensors(2, outputs) + message(3, "tensorflow/serving/predict")


SERVING = signature({"image": (FLOAT, PICTURE)}, {"heat": (FLOAT, (1, 12, 16, 3)), "size": (FLOAT, None)})
TRAINING = signature({"input_tensor": (UINT8, (1, -1, -1, 3))}, DETECTIONS)


def write_saved_model(
    folder: Path,
    signatures: Mapping[str, bytes] = {"serving_default": SERVING},
    *,
    version: str = "2.13.1",
    weights: bool = True,
    graph: bytes = b"",
    more: bytes = b"",
) -> Path:
    """`graph` is added to its GraphDef: nodes and library; `more` to its MetaGraphDef."""
    info = message(4, "serve") + message(5, version)
    none = entry(5, "__saved_model_init_op", b"")
    whole = message(2, message(1, message(1, "w") + message(2, "VarHandleOp")) + graph)
    graphs = message(1, info) + whole + none + b"".join(entry(5, name, each) for name, each in signatures.items()) + more
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(number(1, 1) + message(2, graphs))
    if weights:
        write_checkpoint(folder / "variables" / "variables", {"w/.ATTRIBUTES/VARIABLE_VALUE": (3,)})
    return folder


# Frozen graphs


def node(name: str, op: str, *needs: str, field: int = 1, **attributes: bytes) -> bytes:
    inputs = b"".join(message(3, each) for each in needs)
    own = b"".join(entry(5, key, value) for key, value in attributes.items())
    return message(field, message(1, name) + message(2, op) + inputs + own)


def call(name: str, function: str, *needs: str, field: int = 1) -> bytes:
    return node(name, "StatefulPartitionedCall", *needs, field=field, f=message(10, message(1, function)))


def library(**functions: bytes) -> bytes:
    """Functions by name, each with its nodes: `node(..., field=3)`."""
    return message(2, b"".join(message(1, message(1, message(1, name)) + nodes) for name, nodes in functions.items()))


def placeholder(name: str, dtype: int = FLOAT, sizes: tuple[int, ...] | None = PICTURE) -> bytes:
    return node(name, "Placeholder", dtype=number(6, dtype), shape=message(7, shape(sizes)))


ENTRY = placeholder("normalized_input_image_tensor")
FINISH = node(
    "TFLite_Detection_PostProcess", "TFLite_Detection_PostProcess", num_classes=number(3, 3), max_detections=number(3, 20)
)
FAKE = node("act_quant/FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVars", min=b"")
RAW = node("raw_outputs/box_encodings", "Squeeze") + node("raw_outputs/class_predictions", "Sigmoid")
SERVER = placeholder("image_tensor", UINT8, (-1, -1, -1, 3)) + node("detection_boxes", "Identity")


def write_graph(path: Path, *nodes: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(nodes) + message(4, number(1, 26)))
    return path


# Keras


def layer(class_name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": class_name, "config": config, "registered_name": registered}


def keras_config(*layers: dict[str, Any], shape: Sequence[int | None] = (None, *PICTURE[1:]), old: bool = False) -> dict[str, Any]:
    """The description of a model, by Keras 2 (`old`) or 3."""
    first = layer("InputLayer", name="photo", dtype="float32", **{"batch_input_shape" if old else "batch_shape": list(shape)})
    return layer("Functional", "keras", name="model", layers=[first, *layers])


def write_keras(path: Path, config: dict[str, Any], version: str = "3.15.1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("metadata.json", json.dumps({"keras_version": version}))
        package.writestr("config.json", json.dumps(config))
        package.writestr("model.weights.h5", MAGIC)
    return path


def unmarked(config: Any) -> Any:
    """The same as in a .h5: without modules."""
    if isinstance(config, dict):
        return {key: unmarked(value) for key, value in config.items() if key not in ("module", "registered_name")}
    return [unmarked(each) for each in config] if isinstance(config, list) else config


def write_h5(path: Path, config: dict[str, Any] | None, version: str = "2.13.1", *, fixed: bool = False) -> Path:
    """Write a file as h5py does for Keras; `fixed` stores the texts in place, as older versions did."""
    texts = {"backend": "tensorflow", "keras_version": version}
    if config is not None:
        texts["model_config"] = json.dumps(unmarked(config))
    return write_hdf5(path, texts, fixed=fixed)


def write_hdf5(path: Path, texts: Mapping[str, str], *, fixed: bool = False) -> Path:
    heap_at = 1 << 12
    heap, messages = b"", []
    for place, (name, text) in enumerate(texts.items(), 1):
        data = text.encode()
        if fixed:
            kind, value = b"\x13\0\0\0" + struct.pack("<I", len(data)), data
        else:
            kind = b"\x19\x01\x01\0" + struct.pack("<I", 16) + b"\x10" + bytes(15)
            value = struct.pack("<IQI", len(data), heap_at, place)
            heap += struct.pack("<HHIQ", place, 0, 0, len(data)) + _padded(data)
        titled, scalar = name.encode() + b"\0", b"\x01" + bytes(7)
        parts = struct.pack("<BBHHH", 1, 0, len(titled), len(kind), len(scalar)) + b"".join(map(_padded, (titled, kind, scalar)))
        content = _padded(parts + value)
        messages.append(struct.pack("<HHB3x", 0x000C, len(content), 0) + content)
    first, rest = messages[:1], b"".join(messages[1:])
    goes_on = struct.pack("<HHB3xQQ", 0x0010, 16, 0, 512, len(rest))  # as if attributes were added one by one
    header = b"".join(first) + goes_on
    root = struct.pack("<BBHIII", 1, 0, len(messages) + 1, 1, len(header), 0) + header
    block = MAGIC + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + struct.pack("<HHI", 4, 16, 0) + struct.pack("<4Q", 0, 0, 0, 0)
    start = (block + struct.pack("<QQ", 0, 96) + bytes(24)).ljust(96, b"\0") + root
    assert len(start) <= 512
    body = start.ljust(512, b"\0") + rest
    if not fixed:
        assert len(body) <= heap_at
        body = body.ljust(heap_at, b"\0") + b"GCOL\x01\0\0\0" + struct.pack("<Q", len(heap) + 32) + heap + bytes(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


# .tflite


def write_tflite(
    path: Path,
    entry: str = "float32",
    inside: str = "float32",
    weights: str = "float32",
    out: str = "float32",
    *,
    sizes: Sequence[int] = PICTURE,
    finish: bool = True,
    labels: str = "cat\ndog\nbird\n",
    scale: float = 2 / 255,
) -> Path:
    """A model with an input, a convolution that first unpacks float16 weights, and the PostProcess operator (`finish`)."""
    tensors = [(entry, sizes), (inside, PICTURE), (weights, (8, 3, 3, 3)), (inside, (1, 24, 32, 8)), ("float32", (8, 3, 3, 3))]
    tensors += [(out, ()) for _ in range(4 if finish else 1)]
    last = list(range(5, len(tensors)))
    packed = weights == "float16"
    operators = [Operator(DEQUANTIZE, [2], [4])] if packed else []
    operators += [Operator(CONV, [0 if entry == inside else 1, 4 if packed else 2], [3])]
    operators += [Operator(POSTPROCESS, [3], last)] if finish else []
    model = Model([Tensor(f"a {kind}", kind, size) for kind, size in tensors], operators, [0], last)
    model.options = {"max_detections": 20, "nms_iou_threshold": 0.6, "num_classes": 3, "x_scale": 10.0}
    if entry in MIDDLE:
        model.tensors[0] = replace(model.tensors[0], scales=[scale], zero_point=MIDDLE[entry])
    model.packed = {"labelmap.txt": labels} if labels else {}
    return model.written(path)
