"""Export what takes a picture and gives tensors: Keras files, SavedModels and functions, which have no pipeline.config.

Find its picture input and the names of its outputs, save it with one signature that later steps know, and prove that the saved
model gives the same outputs as the source, with the source's weights.
"""

from __future__ import annotations

import collections.abc
import os
from typing import TYPE_CHECKING, Any

import numpy
import protocol
import tensorflow as tf

from source_model import frozen, told_pixels
from source_model import weights as proof
from tflite_file import flat

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLCHAINS = {"tf2.21": (2, 21), "nightly": (2, 23)}  # toolchains that read SavedModels of later versions
SHOWN = 3
IMAGE = frozen.IMAGE
WANTED = "one float32 picture [1, height, width, 3] is wanted"


def finish(args: dict[str, Any], call: Callable[[Any], Any], spec: Any, weights: dict[str, str] | None) -> dict[str, Any]:
    """What is known of the model after `call` is saved, which takes one picture and gives tensors: one, a dictionary, or a list.

    `spec` is the picture's TensorSpec, `weights` the digests of the source's own values, or None where only the code knows them.
    """
    height, width = spec.shape[1], spec.shape[2]
    warnings: list[str] = []
    cast: dict[str, str] = {}
    function = tf.function(lambda image: _named(call(image), cast), [tf.TensorSpec([1, height, width, 3], tf.float32, IMAGE)])
    concrete = function.get_concrete_function()
    contract = _contract(args, height, width, concrete.structured_outputs)
    whole = frozen.freeze(concrete)
    folded, left = frozen.fold(whole)
    frozen.save(folded.function(), [1, height, width, 3], protocol.output_path("saved_model"))
    proven = _compare_weights(frozen.held(concrete, whole), weights)
    differences = _compare_outputs(call, whole.function(), contract), frozen.compare_folded(whole, folded, contract)
    proven["largest_difference"] = max(differences)
    if proven["unused"]:
        warnings.append("%d of the source's weights don't touch its outputs and were left out" % proven["unused"])
    protocol.write_json(protocol.output_path("contract.json"), contract)
    overrides = {"outputs_cast_to_float32": dict(sorted(cast.items()))} if cast else {}
    return {"contract": contract, "weights": proven, "overrides": overrides, "warnings": warnings, "inexact": left}


def picture_input(inputs: dict[str, Any], uint8_remedy: str, size_remedy: str) -> tuple[str, Any]:
    """The name and the TensorSpec of the one input, a picture of fixed size; anything else is refused with what to do."""
    if len(inputs) != 1:
        stated = ", ".join("%s %s" % (name, _shape_text(spec.shape)) for name, spec in sorted(inputs.items())) or "none"
        raise protocol.Refused("it has %d inputs (%s): %s" % (len(inputs), stated, WANTED))
    [(name, spec)] = inputs.items()
    shape, stated = spec.shape, "input %s is %s %s" % (name, tf.as_dtype(spec.dtype).name, _shape_text(spec.shape))
    if shape.rank != 4 or shape[3] not in (3, None) or shape[0] not in (1, None):
        grey = "; a network for grey pictures is not supported" if shape.rank == 4 and shape[3] == 1 else ""
        batch = "; export it with a batch of 1 or of any size" if shape.rank == 4 and shape[0] not in (1, None) else ""
        raise protocol.Refused("%s, and %s%s%s" % (stated, WANTED, grey, batch))
    if spec.dtype == tf.uint8:
        raise protocol.Refused("%s: %s. %s" % (stated, WANTED, uint8_remedy))
    if spec.dtype != tf.float32:
        raise protocol.Refused("%s: %s" % (stated, WANTED))
    if None in (shape[1], shape[2], shape[3]):
        raise protocol.Refused("%s, of unknown size, and TFLite needs a fixed one. %s" % (stated, size_remedy))
    return name, spec


def check_not_newer(theirs: str) -> None:
    """Refuse a SavedModel of a later TensorFlow: an earlier one can't read it, or misreads it."""
    if version(theirs) <= version(tf.__version__):
        return
    known = [name for name, newest in TOOLCHAINS.items() if newest >= version(theirs)]
    way_out = 'write toolchain = "%s" under [export] of its model.toml' % known[0] if known else "save it with an earlier one"
    raise protocol.Refused(
        "the SavedModel was written by TensorFlow %s, and this toolchain has %s: %s" % (theirs, tf.__version__, way_out)
    )


def version(text: str) -> tuple[int, ...]:
    """Major and minor version, on which formats depend."""
    parts = (text.split(".") + ["0", "0"])[:2]
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in parts)


def digests(arrays: dict[str, Any]) -> dict[str, str]:
    return {name: proof.digest(numpy.asarray(value)) for name, value in arrays.items()}


def _named(value: Any, cast: dict[str, str]) -> dict[str, Any]:
    """A model's outputs by name. Other numbers become float32, which readers of detections rely on; `cast` records them."""
    named = {}
    for name, each in _structure(value).items():
        tensor = tf.convert_to_tensor(each)
        kind, shape = tensor.dtype, tensor.shape
        if not (kind.is_floating or kind.is_integer or kind.is_bool):
            raise protocol.Refused("output %s is of type %s: only numbers can come out" % (name, kind.name))
        if not shape.is_fully_defined() or 0 in shape.as_list() or shape.rank == 0:
            raise protocol.Refused(
                "output %s has shape %s, and TFLite needs a fixed one with a batch dimension: give a fixed number of results, "
                "filled up with empty ones" % (name, _shape_text(shape))
            )
        if kind != tf.float32:
            cast[name] = kind.name
        named[name] = tf.identity(tf.cast(tensor, tf.float32))  # two outputs may be one tensor
    return named


def _structure(value: Any) -> dict[str, Any]:
    """The outputs by name: a dictionary's keys, a named tuple's fields, else their positions."""
    if hasattr(value, "_fields"):
        value = dict(zip(value._fields, value))
    if isinstance(value, (list, tuple)):
        value = {"output_%d" % place: each for place, each in enumerate(value)}
    if not isinstance(value, collections.abc.Mapping):
        value = {"output": value}
    if not value:
        raise protocol.Refused("it gives no outputs")
    for name, each in value.items():
        if isinstance(each, (list, tuple, dict)) or each is None:
            raise protocol.Refused("output %s is a %s: give a flat dictionary of tensors" % (name, type(each).__name__))
    if IMAGE in value:
        raise protocol.Refused("an output is called %r, which is the input's name here: give it another name" % IMAGE)
    return {str(name): each for name, each in value.items()}


def _contract(args: dict[str, Any], height: int, width: int, outputs: dict[str, Any]) -> dict[str, Any]:
    contract = dict(told_pixels.contract(args), height=height, width=width, classes=0)  # nothing says how many classes
    shapes = {name: tensor.shape.as_list() for name, tensor in outputs.items()}
    most = shapes.get("scores", [0])[-1]
    if shapes == dict(zip(flat.DETECTION_OUTPUTS, ([1, most, 4], [1, most], [1, most], [1]))):
        return dict(contract, outputs="detections", max_detections=most, names=list(flat.DETECTION_OUTPUTS))
    return dict(contract, outputs="tensors", max_detections=0, names=sorted(outputs))


def _compare_weights(graph: dict[str, numpy.ndarray], weights: dict[str, str] | None) -> dict[str, Any]:
    """The proof that every weight of the exported graph is the source's; weights that the outputs don't need are counted."""
    found = digests(graph)
    unknown, unused = proof.match(found, found if weights is None else weights)
    if unknown:
        raise protocol.Refused(
            "%d of the saved graph's %d weights are not the source's, the first: %s"
            % (len(unknown), len(graph), ", ".join(unknown[:SHOWN]))
        )
    values = sum(int(value.size) for value in graph.values())
    return {"variables": len(graph), "values": values, "equal": True, "unused": unused}


def _compare_outputs(call: Callable[[Any], Any], graph: Callable[[Any], Any], contract: dict[str, Any]) -> float:
    """The largest difference between the outputs of the source and of its frozen graph, on random pictures."""
    largest = 0.0
    for picture in frozen.random_pictures(contract):
        wanted, again, given = numbers(call(picture)), numbers(call(picture)), graph(picture)
        for name, value in wanted.items():
            if not numpy.array_equal(value, again[name], equal_nan=True):
                raise protocol.Refused(
                    "output %s differs each time for the same picture: something in the model draws random numbers, "
                    "as dropout does in training" % name
                )
            largest = max(largest, frozen.close(name, value, given[name].numpy()))
    return largest


def numbers(value: Any) -> dict[str, numpy.ndarray]:
    return {name: numpy.asarray(each, numpy.float32) for name, each in _structure(value).items()}


def _shape_text(shape: Any) -> str:
    return "of any shape" if shape.rank is None else str(["?" if size is None else size for size in shape]).replace("'", "")


def folder_or_file(path: str) -> str:
    """An input in words, for when something else was expected."""
    if os.path.isdir(path):
        return "a folder with %s" % (", ".join(sorted(os.listdir(path))[:8]) or "nothing")
    with open(path, "rb") as stream:
        start = stream.read(8)
    return "a file that begins with %r" % start
