"""What every conversion ends with: the outputs put in order, the contract held, the file run once."""

import os
import re

import numpy
import protocol
import tensorflow as tf

import flat

# What an arithmetic operator may take in, hold as weights, and give out, per variant.
ARITHMETIC = {
    "float32": {("float32", "float32", "float32")},
    "float16": {("float32", "float16", "float32")},
    "dynamic": {("float32", "int8", "float32"), ("float32", "float32", "float32")},  # tiny weights stay as they are
    "int8": {("int8", "int8", "int8")},
    "int16x8": {("int16", "int8", "int16")},
    "uint8-qat": {("uint8", "uint8", "uint8")},
}
# Beside the arithmetic of its name a float variant has nothing; a dynamic one has at least some int8 weights.
REQUIRED = {"dynamic": ("float32", "int8", "float32")}
# What goes in and what comes out, where it isn't float32.
INPUT_TYPE = {"int8-io": "uint8", "int8-raw": "int8", "uint8-qat": "uint8", "uint8-qat-raw": "uint8"}
OUTPUT_TYPE = {"int8-raw": "int8", "uint8-qat-raw": "uint8"}
SAME_NUMBERS = ("-raw", "-tf1", "-io")  # parts of a name that say nothing of how the inside computes
NEEDS_FLEX = (
    "the graph has operators that only full TensorFlow can run: %s; the Pi's runtime can't. "
    "For another runtime: --allow-flex; else train or export the model without them"
)
NO_FLEX_HERE = "Select TensorFlow op(s)"  # from an interpreter that was built without them
CANT_CALIBRATE = (
    "the interpreter of TensorFlow %s has none of full TensorFlow's operators, so it can't calibrate a model that needs them: "
    "name tf2.13 in convert.toolchains, which has them"
)
# Which of its inputs an operator multiplies with which: the entry's place, the weights' place.
MULTIPLIES = {b"CONV_2D": (0, 1), b"DEPTHWISE_CONV_2D": (0, 1), b"FULLY_CONNECTED": (0, 1), b"TRANSPOSE_CONV": (2, 1)}
TINY = 1024  # of fewer weights than these the converter keeps floats
LEVELS = {"int8": 255, "uint8": 255, "int16": 65534}
SCALE_TOLERANCE = 0.02


def finish(model, args, contract):
    """Hold a converted model to what its variant's name says, write it, run it once, and describe it."""
    variant = args["variant"]
    names = _order_outputs(model, args, contract)
    described = flat.describe(model)
    flex = _check_operators(described["operators"], args.get("allow_flex"))
    found, largest = _arithmetic(model)
    _check_arithmetic(variant, found, largest)
    _check_input(variant, described["inputs"], contract, model)
    _check_outputs(variant, described["outputs"], names)
    data = flat.write(model)
    ran = _run_once(data, described, flex)
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    return {
        "variant": variant,
        "size": len(data),
        "sha256": protocol.sha256_file(protocol.output_path("detect.tflite")),
        "tensorflow": tf.__version__,
        "warnings": _warnings(variant, flex, found, ran),
        **described,
    }


def _warnings(variant, flex, found, ran):
    told = ["needs a runtime with TensorFlow's own operators: %s" % ", ".join(flex)] if flex else []
    if not ran:
        told.append("was not run: the interpreter of TensorFlow %s has none of those operators" % tf.__version__)
    if variant in REQUIRED and REQUIRED[variant] not in found:
        told.append("stores no weights in 8 bits: none of them has %d values or more" % TINY)
    return told


def _order_outputs(model, args, contract):
    """Put the outputs in the canonical order and name them; which they are, the contract says."""
    made_by = contract["outputs"]
    refuse_raw(args["variant"], contract)
    if made_by == "postprocess" and not args["variant"].endswith("-raw"):
        flat.order_outputs(model, args["max_detections"])
        return flat.DETECTION_OUTPUTS
    if flat.postprocess(model) is not None:
        raise protocol.Refused("%s has a PostProcess operator, which its name excludes" % args["variant"])
    names = {"detections": flat.DETECTION_OUTPUTS, "tensors": tuple(contract.get("names", ()))}.get(made_by, flat.RAW_OUTPUTS)
    flat.order_by_signature(model, names)
    return names


def refuse_raw(variant, contract):
    """A -raw variant is one without the PostProcess operator, so there has to be one."""
    if variant.endswith("-raw") and contract["outputs"] == "detections":
        raise protocol.Refused(
            "%s leaves out the PostProcess operator, and this model has none: ordinary operators make its detections. "
            "Take the variant without -raw" % variant
        )


def attempt(convert):
    """Run a conversion. What the converter throws is a refusal: the next toolchain may do better."""
    try:
        return convert()
    except Exception as error:
        missing = sorted(set(re.findall(r"^\s*tf\.(\w+)\(", str(error), re.MULTILINE)))
        if re.search("Select TF ops|TF Select|SELECT_TF_OPS", str(error)):
            raise protocol.Refused(NEEDS_FLEX % (", ".join(missing) or "the converter doesn't name them")) from error
        if NO_FLEX_HERE in str(error):
            raise protocol.Refused(CANT_CALIBRATE % tf.__version__) from error
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise protocol.Refused("the converter of TensorFlow %s fails: %s" % (tf.__version__, lines[0][:300])) from error


def allow(converter, args):
    """Let a converter fall back to full TensorFlow's operators, where that was asked for."""
    if args.get("allow_flex"):
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]


def _check_operators(operators, allow_flex):
    """The operators of full TensorFlow, where they are allowed."""
    flex = sorted(name for name in operators if name.startswith("Flex"))
    if flex and not allow_flex:
        raise protocol.Refused(NEEDS_FLEX % ", ".join(flex))
    return flex


def _arithmetic(model):
    """The types that weights are multiplied with, and how many values the largest weights have.

    Weights that are unpacked by a DEQUANTIZE count as what they are stored as. What multiplies two results has no weights.
    """
    graph, stored, found, largest = model.subgraphs[0], {}, set(), 0
    for name, operator in flat.operators(model):
        if name == b"DEQUANTIZE":
            stored[int(operator.outputs[0])] = int(operator.inputs[0])
        if name not in MULTIPLIES:
            continue
        entry, weights = (int(operator.inputs[place]) for place in MULTIPLIES[name])
        kept = graph.tensors[stored.get(weights, weights)]
        data = model.buffers[kept.buffer].data
        if data is None or not len(data):
            continue
        types = [flat.TYPES[graph.tensors[each].type] for each in (entry, int(operator.outputs[0]))]
        found.add((types[0], flat.TYPES[kept.type], types[1]))
        largest = max(largest, int(numpy.prod(kept.shape)))
    return found, largest


def _check_arithmetic(variant, found, largest):
    inside = variant
    for part in SAME_NUMBERS:
        inside = inside.replace(part, "")
    wrong = sorted(found - ARITHMETIC[inside])
    if wrong:
        fitting = sorted(name for name, types in ARITHMETIC.items() if found <= types)
        raise protocol.Refused(
            "%s computes with %s, which its name does not say%s"
            % (variant, " and ".join("/".join(each) for each in wrong), "; %s says it" % fitting[0] if fitting else "")
        )
    if variant in REQUIRED and REQUIRED[variant] not in found and largest >= TINY:
        raise protocol.Refused("%s has no %s arithmetic at all" % (variant, "/".join(REQUIRED[variant])))


def _check_input(variant, inputs, contract, model):
    expected, shape = INPUT_TYPE.get(variant, "float32"), [1, contract["height"], contract["width"], 3]
    if len(inputs) != 1 or inputs[0]["type"] != expected or inputs[0]["shape"] != shape:
        stated = ", ".join("%s %s" % (each["type"], each["shape"]) for each in inputs)
        raise protocol.Refused("%s has input %s, expected %s %s" % (variant, stated, expected, shape))
    if "int" in variant:
        _check_scale(variant, _first_quantized(model), contract["range"])


def _first_quantized(model):
    """The first integer form of the picture: the input itself, or what a QUANTIZE makes of it."""
    graph = model.subgraphs[0]
    tensor = int(graph.inputs[0])
    if flat.TYPES[graph.tensors[tensor].type] == "float32":
        quantize = [op for name, op in flat.operators(model) if name == b"QUANTIZE" and int(op.inputs[0]) == tensor]
        if not quantize:
            raise protocol.Refused("the input is float and nothing quantizes it")
        tensor = int(quantize[0].outputs[0])
    return graph.tensors[tensor]


def _check_scale(variant, tensor, wanted):
    """The integers of the input must span the pixel range that the network was trained with."""
    kind, scale = flat.TYPES[tensor.type], float(tensor.quantization.scale[0])
    expected = (wanted[1] - wanted[0]) / LEVELS[kind]
    if kind == "int16":
        expected = max(abs(value) for value in wanted) / 32767.0  # symmetric
    if abs(scale - expected) > SCALE_TOLERANCE * expected:
        raise protocol.Refused(
            "%s has input scale %.6f, pixels from %g to %g need %.6f: it was calibrated with another pixel range"
            % (variant, scale, wanted[0], wanted[1], expected)
        )


def _check_outputs(variant, outputs, wanted):
    names, types = [each["name"] for each in outputs], {each["type"] for each in outputs}
    if tuple(names) != tuple(wanted) or types != {OUTPUT_TYPE.get(variant, "float32")}:
        raise protocol.Refused("%s gives %s as %s" % (variant, ", ".join(names), " and ".join(sorted(types))))
    hollow = [each["name"] for each in outputs if 0 in each["shape"] or not each["shape"]]
    if hollow:
        raise protocol.Refused("output %s has no size: the converter is too old for this export" % ", ".join(hollow))


def _run_once(data, described, flex):
    """Load and run it: a file that says nothing wrong can still be one that no interpreter takes. Whether that could be done."""
    try:
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]
        interpreter.set_tensor(entry["index"], numpy.zeros(entry["shape"], entry["dtype"]))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        if flex and NO_FLEX_HERE in str(error):
            return False
        raise protocol.Refused("the interpreter of TensorFlow %s can't run it: %s" % (tf.__version__, error)) from None
    for stated, detail in zip(described["outputs"], interpreter.get_output_details()):
        if interpreter.get_tensor(detail["index"]).shape != tuple(stated["shape"]):
            shape = list(interpreter.get_tensor(detail["index"]).shape)
            raise protocol.Refused("output %s comes out as %s, expected %s" % (stated["name"], shape, stated["shape"]))
    return True


def read_contract(folder):
    return protocol.read_json(os.path.join(folder, "contract.json"))


def write_anchors(anchors, contract):
    """Without the PostProcess operator, boxes are for the caller to make: this is what that takes."""
    numpy.save(protocol.output_path("anchors.npy"), anchors)
    protocol.write_json(protocol.output_path("postprocess.json"), contract["postprocess"])


def keep_anchors(exported, contract):
    """The same for a graph that was exported without the operator."""
    if contract["outputs"] == "raw":
        write_anchors(numpy.load(os.path.join(exported, "anchors.npy")), contract)
