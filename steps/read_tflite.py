"""Read a finished .tflite: what goes in, which output is what, its labels; then name and order its outputs as bundles have them.

Nothing else in its graph changes. A file that leaves something uncertain is refused, with what to write into the recipe.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy
import protocol

from tflite_file import flat, output_names, packed_metadata

PIXELS = "say in its model.toml what a pixel becomes: [input] mean = 127.5, std = 127.5 for -1 to 1; 0 and 255 for 0 to 1"
INPUT_TYPES = ("float32", "uint8", "int8")
LOWEST = {"uint8": 0, "int8": -128}  # the integer that stands for a pixel of 0
TOLERANCE = 0.02


def read(args: dict[str, Any]) -> dict[str, Any]:
    """The file's contract, how its outputs were found, and how many labels are packed in it."""
    with open(protocol.input_path("model"), "rb") as stream:
        data = stream.read()
    model = _parse(data)
    _check_usable(model)
    _close_batch(model.subgraphs[0])
    packed, warnings = packed_metadata.read(model, data)
    last = flat.postprocess(model)
    contract = {**_size(model), **_pixels(model, args, packed)}
    if last is not None:
        given = [int(each) for each in model.subgraphs[0].outputs]
        contract.update(_postprocess(flat.custom_options(last)))
        ports = [int(each) for each in last.outputs]
        flat.order_outputs(model, contract["max_detections"])
        found_by = "the PostProcess operator"
        names = [flat.DETECTION_OUTPUTS[ports.index(each)] for each in given]
    else:
        names, shapes, found_by = output_names.find(model, data, args["outputs"], packed.outputs)
        contract.update(outputs="detections", classes=0, max_detections=shapes[names.index("boxes")][1])
        flat.sign(model, names)
        flat.order_by_signature(model, flat.DETECTION_OUTPUTS)
    contract["published_order"] = {name: place for place, name in enumerate(names)}
    packed_metadata.drop(model)
    with open(protocol.output_path("model.tflite"), "wb") as stream:
        stream.write(flat.write(model))
    if packed.labels:
        with open(protocol.output_path("labelmap.txt"), "w", encoding="utf-8") as stream:
            stream.write("".join(label + "\n" for label in packed.labels))
    protocol.write_json(protocol.output_path("contract.json"), contract)
    return {"contract": contract, "outputs_found_by": found_by, "labels_packed": len(packed.labels), "warnings": warnings}


def _parse(data: bytes) -> Any:
    if data[4:8] != b"TFL3":
        raise protocol.Refused("the source is not a TFLite model: its first bytes do not contain TFL3")
    try:
        return flat.read(bytearray(data))
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError):
        raise protocol.Refused("the .tflite is damaged or incomplete: fetch or copy it again") from None


def _check_usable(model: Any) -> None:
    if len(model.subgraphs) != 1:
        raise protocol.Refused(
            "the .tflite has %d subgraphs: it branches or loops, which can't be checked here. "
            'Convert it again from its SavedModel: kind = "saved-model"' % len(model.subgraphs)
        )
    flex = sorted({name.decode() for name, _ in flat.operators(model) if name.startswith(flat.FLEX)})
    if flex:
        raise protocol.Refused(
            "the .tflite has operators that only full TensorFlow can run: %s; the Pi's runtime can't. "
            "Convert the model again without them, from its checkpoint or SavedModel" % ", ".join(flex)
        )
    graph = model.subgraphs[0]
    if len(graph.inputs) != 1:
        raise protocol.Refused("the .tflite takes %d inputs, a detector takes one picture" % len(graph.inputs))
    entry = graph.tensors[graph.inputs[0]]
    shape = [int(size) for size in entry.shape] if entry.shape is not None else []
    signature = [int(size) for size in entry.shapeSignature] if entry.shapeSignature is not None else shape
    if min(signature[1:] + shape + [1]) < 1:  # an open batch becomes 1
        raise protocol.Refused("the input's shape is left open: %s. Convert the model again with a fixed size" % signature)
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        raise protocol.Refused("the input is %s, expected one RGB picture: [1, height, width, 3]" % shape)
    if flat.TYPES[entry.type] not in INPUT_TYPES:
        raise protocol.Refused("the input is of type %s, expected %s" % (flat.TYPES[entry.type], ", ".join(INPUT_TYPES)))


def _close_batch(graph: Any) -> None:
    """State a batch of 1 wherever only the batch is open: the file's own shapes have a 1 there already."""
    for tensor in graph.tensors:
        if tensor.shape is not None and tensor.shapeSignature is not None:
            shape, stated = ([int(size) for size in sizes] for sizes in (tensor.shape, tensor.shapeSignature))
            if stated[:1] == [-1] and shape[:1] == [1] and stated[1:] == shape[1:]:
                tensor.shapeSignature = None


def _size(model: Any) -> dict[str, Any]:
    graph = model.subgraphs[0]
    _, height, width, _ = (int(size) for size in graph.tensors[graph.inputs[0]].shape)
    return {"height": height, "width": width}


def _pixels(model: Any, args: dict[str, Any], packed: packed_metadata.Packed) -> dict[str, Any]:
    """What a pixel becomes, by the recipe, the metadata or the input's scale. Recipe and metadata must agree."""
    told = (args["mean"], args["std"]) if "mean" in args else None
    if told and packed.pixels and not numpy.allclose(_ends(*told), _ends(*packed.pixels), atol=TOLERANCE * _spread(*told)):
        raise protocol.Refused(
            "the recipe's [input] has mean %s and std %s, the file's metadata mean %s and std %s: "
            "one of them is wrong; without [input] the metadata counts" % (*told, *packed.pixels)
        )
    mean, std = told or packed.pixels or _by_scale(model)
    ends, resize = _ends(mean, std), args.get("resize", "stretch")
    return {
        "mean": list(mean),
        "std": list(std),
        "pixels": "told",
        "range": [float(min(map(min, ends))), float(max(map(max, ends)))],
        "resize": resize,
        "padding": list(mean) if resize == "letterbox" else [],  # what becomes 0 to the network
    }


def _ends(mean: list[float], std: list[float]) -> list[list[float]]:
    """What black and white become, per channel."""
    return [[(pixel - each) / by for each, by in zip(mean, std)] for pixel in (0.0, 255.0)]


def _spread(mean: list[float], std: list[float]) -> float:
    """The largest distance between what black and white become."""
    black, white = _ends(mean, std)
    return max(abs(high - low) for low, high in zip(black, white))


def _by_scale(model: Any) -> tuple[list[float], list[float]]:
    """Mean and std by an integer input's scale. Pixels from 0 to 1 are refused: most such files were calibrated wrongly."""
    entry = flat.describe(model)["inputs"][0]
    if entry["scale"] is None:
        raise protocol.Refused("neither metadata nor an input scale says what the pixels are: %s" % PIXELS)
    mean, std = float(entry["zero_point"] - LOWEST.get(entry["type"], 0)), 1.0 / entry["scale"]
    (black,), (white,) = _ends([mean], [std])
    for low, high in ((-1.0, 1.0), (0.0, 255.0)):
        if abs(black - low) <= TOLERANCE * (high - low) and abs(white - high) <= TOLERANCE * (high - low):
            return [mean] * 3, [std] * 3
    raise protocol.Refused(
        "the file has no metadata, and its input scale %.6f stands for pixels from %.3g to %.3g, which may be the training's or a "
        "calibration's mistake: %s" % (entry["scale"], black, white, PIXELS)
    )


def _postprocess(options: dict[str, Any]) -> dict[str, Any]:
    """What the operator's own options say about boxes."""
    found = int(options["max_detections"])
    iou, score = (round(float(options["nms_%s_threshold" % name]), 10) for name in ("iou", "score"))
    scales = {name: float(options["%s_scale" % short]) for name, short in flat.SCALES.items()}
    return {
        "outputs": "postprocess",
        "classes": int(options["num_classes"]),
        "max_detections": found,
        "postprocess": {"max_detections": found, "scales": scales, "score_threshold": score, "iou_threshold": round(iou, 6)},
    }


if __name__ == "__main__":
    protocol.main(read)
