"""What the sources without a pipeline.config have in common: Keras files, SavedModels and functions.

From something that takes a picture and gives tensors: find its one picture input and the names of its outputs, save it with one
signature that later steps know, and prove that what was saved gives what the source gives, with the source's weights.
"""

import collections
import os

import numpy
import protocol
import tensorflow as tf

import flat
import told_pixels
import weights as proof

TOOLCHAINS = {"tf2.21": (2, 21), "nightly": (2, 23)}  # those that read what later versions wrote
PICTURES = 3  # random ones that are run to compare
CLOSE = 1e-4  # the same operators in another graph: they may be fused in another order
SHOWN = 3
IMAGE = "image"
WANTED = "one float32 picture [1, height, width, 3] is wanted"


def finish(args, call, spec, weights):
    """Save `call`, which takes one picture and gives a tensor or a dictionary, tuple or list of them.

    `spec` is the picture's TensorSpec, `weights` the source's own values by name, or None where only the code knows them.
    """
    height, width = spec.shape[1], spec.shape[2]
    warnings, cast = [], {}
    function = tf.function(lambda image: _named(call(image), cast), [tf.TensorSpec([1, height, width, 3], tf.float32, IMAGE)])
    concrete = function.get_concrete_function()
    contract = _contract(args, height, width, concrete.structured_outputs)
    target = protocol.output_path("saved_model")
    _save(concrete, target)
    loaded = tf.saved_model.load(target)  # held on to: it owns the variables
    saved = loaded.signatures["serving_default"]
    proven = _compare_weights(concrete, saved, weights)
    proven["largest_difference"] = _compare_outputs(call, saved, contract)
    if proven["unused"]:
        warnings.append("%d of the source's weights don't touch its outputs and were left out" % proven["unused"])
    protocol.write_json(protocol.output_path("contract.json"), contract)
    overrides = {"outputs_cast_to_float32": dict(sorted(cast.items()))} if cast else {}
    return {"contract": contract, "weights": proven, "overrides": overrides, "warnings": warnings}


def picture_input(inputs, uint8_remedy, size_remedy):
    """The one input, a picture of fixed size, of a dictionary of names to TensorSpecs; or a refusal with the way out."""
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


def check_not_newer(theirs):
    """What a later TensorFlow wrote is not read by an earlier one, or not as it was meant."""
    if version(theirs) <= version(tf.__version__):
        return
    known = [name for name, newest in TOOLCHAINS.items() if newest >= version(theirs)]
    way_out = 'write toolchain = "%s" under [export] of its model.toml' % known[0] if known else "save it with an earlier one"
    raise protocol.Refused(
        "the SavedModel was written by TensorFlow %s, and this toolchain has %s: %s" % (theirs, tf.__version__, way_out)
    )


def version(text):
    """Major and minor: what formats depend on."""
    parts = (text.split(".") + ["0", "0"])[:2]
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in parts)


def digests(arrays):
    return {name: proof.digest(numpy.asarray(value)) for name, value in arrays.items()}


def _named(value, cast):
    """A model's outputs as a dictionary. What is a number but no float32 becomes one: interpreters of detections count on it."""
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


def _structure(value):
    """Outputs by name: a dictionary's keys, a named tuple's fields, else their places."""
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


def _contract(args, height, width, outputs):
    contract = dict(told_pixels.contract(args), height=height, width=width, classes=0)  # nothing says how many classes
    shapes = {name: tensor.shape.as_list() for name, tensor in outputs.items()}
    most = shapes.get("scores", [0])[-1]
    if shapes == dict(zip(flat.DETECTION_OUTPUTS, ([1, most, 4], [1, most], [1, most], [1]))):
        return dict(contract, outputs="detections", max_detections=most, names=list(flat.DETECTION_OUTPUTS))
    return dict(contract, outputs="tensors", max_detections=0, names=sorted(outputs))


def _save(concrete, target):
    """The function and its variables alone: with the layers behind them, each would be traced and saved again."""
    plain = tf.Module()
    plain.function, plain.weights = concrete, list(concrete.variables)
    try:
        tf.saved_model.save(plain, target, signatures=concrete)
    except (AssertionError, ValueError) as error:
        if "untracked" not in str(error):
            raise
        raise protocol.Refused(
            "it uses something beside pictures and weights (a lookup table or a file), which TFLite can't carry: "
            "leave it out of what is exported"
        ) from error


def _compare_weights(concrete, saved, weights):
    """Every variable of the saved graph is one of the source's; what the outputs don't depend on is counted."""
    graph = {"%d %s" % (place, each.name): proof.digest(each.numpy()) for place, each in enumerate(saved.variables)}
    if weights is None:
        weights = digests({"%d %s" % (place, each.name): each.numpy() for place, each in enumerate(concrete.variables)})
    unknown, unused = proof.match(graph, weights)
    if unknown:
        raise protocol.Refused(
            "%d of the saved graph's %d weights are not the source's, the first: %s"
            % (len(unknown), len(graph), ", ".join(unknown[:SHOWN]))
        )
    values = sum(int(numpy.prod(each.shape)) for each in saved.variables)
    return {"variables": len(graph), "values": values, "equal": True, "unused": unused}


def _compare_outputs(call, saved, contract):
    """The largest difference between what the source gives and what was saved gives, on random pictures."""
    draw, largest = numpy.random.RandomState(0), 0.0
    for _ in range(PICTURES):
        shape = (1, contract["height"], contract["width"], 3)
        picture = tf.constant(draw.uniform(*contract["range"], size=shape).astype(numpy.float32))
        wanted, again, given = numbers(call(picture)), numbers(call(picture)), saved(**{IMAGE: picture})
        for name, value in wanted.items():
            if not numpy.array_equal(value, again[name], equal_nan=True):
                raise protocol.Refused(
                    "output %s is another each time for the same picture: something in the model draws random numbers, "
                    "as dropout does in training" % name
                )
            found = given[name].numpy()
            scale = max(1.0, float(numpy.nanmax(numpy.abs(value))))
            apart = float(numpy.nanmax(numpy.abs(found - value))) / scale
            if not numpy.array_equal(numpy.isfinite(found), numpy.isfinite(value)) or apart > CLOSE:
                raise protocol.Refused("output %s of the saved model differs from the source's by %g" % (name, apart))
            largest = max(largest, apart)
    return largest


def numbers(value):
    return {name: numpy.asarray(each, numpy.float32) for name, each in _structure(value).items()}


def _shape_text(shape):
    return "of any shape" if shape.rank is None else str(["?" if size is None else size for size in shape]).replace("'", "")


def folder_or_file(path):
    """What an input is, in words, where something else was expected."""
    if os.path.isdir(path):
        return "a folder with %s" % (", ".join(sorted(os.listdir(path))[:8]) or "nothing")
    with open(path, "rb") as stream:
        start = stream.read(8)
    return "a file that begins with %r" % start
