"""What every conversion ends with: the outputs put in order, the contract held, the file run once."""

import os

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
    "int8-io": {("int8", "int8", "int8")},
    "int8-raw": {("int8", "int8", "int8")},
    "int16x8": {("int16", "int8", "int16")},
}
# Beside the arithmetic of its name a float variant has nothing; a dynamic one has at least some int8 weights.
REQUIRED = {"dynamic": ("float32", "int8", "float32")}
INPUT_TYPE = {"int8-io": "uint8", "int8-raw": "int8"}
CONVOLUTIONS = (b"CONV_2D", b"DEPTHWISE_CONV_2D")
LEVELS = {"int8": 255, "uint8": 255, "int16": 65534}
SCALE_TOLERANCE = 0.02


def finish(model, args, contract):
    """Hold a converted model to what its variant's name says, write it, run it once, and describe it."""
    variant = args["variant"]
    if variant == "int8-raw":
        if flat.postprocess(model) is not None:
            raise protocol.Refused("int8-raw still has its PostProcess operator")
    else:
        flat.order_outputs(model, args["max_detections"])
    described = flat.describe(model)
    _check_operators(described["operators"])
    _check_arithmetic(variant, _arithmetic(model))
    _check_input(variant, described["inputs"], contract, model)
    _check_outputs(variant, described["outputs"])
    data = flat.write(model)
    _run_once(data, described)
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    return {
        "variant": variant,
        "size": len(data),
        "sha256": protocol.sha256_file(protocol.output_path("detect.tflite")),
        "tensorflow": tf.__version__,
        **described,
    }


def attempt(convert):
    """Run a conversion. What the converter throws is a refusal: the next toolchain may do better."""
    try:
        return convert()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise protocol.Refused("the converter of TensorFlow %s fails: %s" % (tf.__version__, lines[0][:300])) from error


def _check_operators(operators):
    flex = sorted(name for name in operators if name.startswith("Flex"))
    if flex:
        raise protocol.Refused("the graph has operators that only full TensorFlow can run: %s" % ", ".join(flex))


def _arithmetic(model):
    """The types that convolutions compute with. Weights that are unpacked by a DEQUANTIZE count as what they are stored as."""
    graph, stored, found = model.subgraphs[0], {}, set()
    for name, operator in flat.operators(model):
        if name == b"DEQUANTIZE":
            stored[int(operator.outputs[0])] = flat.TYPES[graph.tensors[operator.inputs[0]].type]
        if name in CONVOLUTIONS:
            entry, weights, result = int(operator.inputs[0]), int(operator.inputs[1]), int(operator.outputs[0])
            types = [flat.TYPES[graph.tensors[each].type] for each in (entry, weights, result)]
            found.add((types[0], stored.get(weights, types[1]), types[2]))
    return found


def _check_arithmetic(variant, found):
    wrong = sorted(found - ARITHMETIC[variant])
    if wrong:
        raise protocol.Refused(
            "%s computes with %s, which its name does not say" % (variant, " and ".join("/".join(each) for each in wrong))
        )
    if variant in REQUIRED and REQUIRED[variant] not in found:
        raise protocol.Refused("%s has no %s arithmetic at all" % (variant, "/".join(REQUIRED[variant])))


def _check_input(variant, inputs, contract, model):
    expected, shape = INPUT_TYPE.get(variant, "float32"), [1, contract["height"], contract["width"], 3]
    if len(inputs) != 1 or inputs[0]["type"] != expected or inputs[0]["shape"] != shape:
        stated = ", ".join("%s %s" % (each["type"], each["shape"]) for each in inputs)
        raise protocol.Refused("%s has input %s, expected %s %s" % (variant, stated, expected, shape))
    if variant.startswith("int"):
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


def _check_outputs(variant, outputs):
    names, types = [each["name"] for each in outputs], {each["type"] for each in outputs}
    wanted = flat.RAW_OUTPUTS if variant == "int8-raw" else flat.DETECTION_OUTPUTS
    expected = {"int8"} if variant == "int8-raw" else {"float32"}
    if tuple(names) != wanted or types != expected:
        raise protocol.Refused("%s gives %s as %s" % (variant, ", ".join(names), " and ".join(sorted(types))))


def _run_once(data, described):
    """Load and run it: a file that says nothing wrong can still be one that no interpreter takes."""
    try:
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]
        interpreter.set_tensor(entry["index"], numpy.zeros(entry["shape"], entry["dtype"]))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise protocol.Refused("the interpreter of TensorFlow %s can't run it: %s" % (tf.__version__, error)) from None
    for stated, detail in zip(described["outputs"], interpreter.get_output_details()):
        if interpreter.get_tensor(detail["index"]).shape != tuple(stated["shape"]):
            shape = list(interpreter.get_tensor(detail["index"]).shape)
            raise protocol.Refused("output %s comes out as %s, expected %s" % (stated["name"], shape, stated["shape"]))


def read_contract(folder):
    return protocol.read_json(os.path.join(folder, "contract.json"))
