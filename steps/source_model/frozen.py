"""A model's function as a frozen graph, and the SavedModel made of it: constants folded, one picture in, named outputs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import protocol
import tensorflow as tf

from detection import ports
from source_model import constant_folding, weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IMAGE = "image"
PICTURES = 3  # random pictures on which outputs are compared
CLOSE = 1e-4  # sums may be made in another order
ALIKE = 1e-5  # of a layer's largest number, for the same input: rounding in 32 bits stays below this
TINY = 1e-30
UNTRACKED = (
    "it uses something besides pictures and weights (a lookup table or a file), which TFLite can't carry: "
    "leave it out of what is exported"
)


class Frozen(NamedTuple):
    """A graph whose weights are constants, the tensor that takes its picture, and its outputs' tensors by their names."""

    graph: Any
    image: str
    outputs: dict[str, str]

    def function(self, more: Sequence[str] = ()) -> Any:
        """What it computes, as a function of the picture that gives the outputs by name, or else the tensors named in `more`."""
        wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(self.graph, name=""), [])
        wanted = {name: name + ":0" for name in more} or self.outputs
        elements = {name: wrapped.graph.as_graph_element(tensor) for name, tensor in wanted.items()}
        return wrapped.prune(wrapped.graph.as_graph_element(self.image), elements)

    def value(self, output: str) -> numpy.ndarray:
        """The value of an output that is constant."""
        return constant_folding.value(self.graph, self.outputs[output])

    def shape(self) -> list[int]:
        """The picture's shape."""
        node = next(node for node in self.graph.node if node.name == self.image.partition(":")[0])
        return [int(each.size) for each in node.attr["shape"].shape.dim]


def inference(module: Any) -> Callable[[Any], Any]:
    """What one of the API's modules for TFLite gives for a picture, without AutoGraph.

    AutoGraph rewrites all code that is called. That takes a third of an export and gives the same graph: no shape is unknown.
    """
    return functools.partial(tf.function(type(module).inference_fn.python_function, autograph=False), module)


def freeze(concrete: Any) -> Frozen:
    """The graph of a concrete function that gives a dictionary. Each of its variables is one of the graph's constants."""
    held = {id(variable.handle) for variable in concrete.graph.variables}
    if any(each.dtype == tf.resource and id(each) not in held for each in concrete.captured_inputs):
        raise protocol.Refused(UNTRACKED)
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    tensors = [tensor.name for tensor in frozen.outputs]
    names = sorted(concrete.structured_outputs)  # in which order TensorFlow flattens them
    graph = frozen.graph.as_graph_def()
    return Frozen(graph, frozen.inputs[0].name, dict(zip(names, tensors)))


def held(concrete: Any, frozen: Frozen) -> dict[str, numpy.ndarray]:
    """The function's weights that its frozen graph has; it lacks those that its outputs don't need."""
    functions = (node for function in frozen.graph.library.function for node in function.node_def)
    nodes = [node for several in (frozen.graph.node, functions) for node in several if node.op == "Const"]
    constants = {weights.digest(tf.make_ndarray(node.attr["value"].tensor)) for node in nodes}
    every = {"%d %s" % (place, each.name): each.numpy() for place, each in enumerate(concrete.variables)}
    return {name: value for name, value in every.items() if weights.digest(value) in constants}


def fold(frozen: Frozen) -> tuple[Frozen, list[str]]:
    """The same with its constants folded, and the operators whose constant results are left to the converter."""
    graph, left = constant_folding.fold(frozen.graph, [*frozen.outputs.values(), frozen.image])
    return frozen._replace(graph=graph), left


def compare_folded(whole: Frozen, folded: Frozen, contract: dict[str, Any]) -> float:
    """The largest difference that folding made to a layer, as a share of its largest number, on random pictures.

    Each layer is compared for the same input: through a deep network the smallest difference may grow to any size.
    """
    both, layers = constant_folding.side_by_side(whole.graph, folded.graph)
    if not layers:
        return 0.0
    computed = whole._replace(graph=both).function([name for layer in layers for name in layer])

    def apart(image: Any) -> dict[str, Any]:
        tensors = computed(image)
        largest = {name: tf.reduce_max(tf.abs(tensor)) for name, tensor in tensors.items()}
        return {
            before: tf.reduce_max(tf.abs(tensors[before] - tensors[after]))
            / tf.maximum(tf.maximum(largest[before], largest[inside]), TINY)
            for before, after, inside in layers
        }

    measure, worst = tf.function(apart), 0.0
    for picture in random_pictures(contract):
        for name, found in measure(picture).items():
            if not found.numpy() <= ALIKE:
                raise protocol.Refused("%s gives other numbers once its constants are folded: %g apart" % (name, found.numpy()))
            worst = max(worst, float(found.numpy()))
    return worst


def random_pictures(contract: dict[str, Any]) -> Iterator[Any]:
    draw = numpy.random.RandomState(0)
    low, high = contract["range"]
    for _ in range(PICTURES):
        yield tf.constant(draw.uniform(low, high, (1, contract["height"], contract["width"], 3)).astype(numpy.float32))


def close(name: str, wanted: numpy.ndarray, found: numpy.ndarray) -> float:
    """How far an output is from the source's, as a share of its largest value. Refused if that is more than rounding."""
    scale = max(1.0, float(numpy.nanmax(numpy.abs(wanted))))
    apart = float(numpy.nanmax(numpy.abs(found - wanted))) / scale
    if not numpy.array_equal(numpy.isfinite(found), numpy.isfinite(wanted)) or apart > CLOSE:
        raise protocol.Refused("output %s of the saved model differs from the source's by %g" % (name, apart))
    return apart


def save(call: Callable[[Any], dict[str, Any]], shape: Sequence[int], target: str) -> None:
    """Write a SavedModel with one signature, which takes a picture called `image`."""
    module = tf.Module()

    def named(image: Any) -> dict[str, Any]:
        return {name: tf.identity(tensor) for name, tensor in call(image).items()}

    module.function = tf.function(named, input_signature=[tf.TensorSpec(shape, tf.float32, name=IMAGE)])
    without_gradients = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # a frozen graph's can't be saved
    tf.saved_model.save(module, target, module.function, without_gradients)


def with_postprocess(
    call: Callable[[Any], dict[str, Any]], anchors: numpy.ndarray, contract: dict[str, Any]
) -> Callable[[Any], dict[str, Any]]:
    """The network with the PostProcess operator behind it: an empty function that the converter knows by its name."""

    def detect(image: Any) -> dict[str, Any]:
        raw = call(image)
        encodings, predictions = (tf.identity(raw[name]) for name in ports.RAW_OUTPUTS)
        return dict(zip(ports.DETECTION_OUTPUTS, _postprocess(contract)(encodings, predictions, tf.constant(anchors))))

    return detect


def _postprocess(contract: dict[str, Any]) -> Any:
    """The empty function, with the operator's options in its name."""
    options = contract["postprocess"]
    scales = options["scales"]
    numbers = {
        "max_detections": "i: %d" % options["max_detections"],
        "max_classes_per_detection": "i: 1",
        "use_regular_nms": "b: %s" % str(options["regular"]).lower(),
        "nms_score_threshold": "f: %f" % options["score_threshold"],
        "nms_iou_threshold": "f: %f" % options["iou_threshold"],
        "y_scale": "f: %f" % scales["y"],
        "x_scale": "f: %f" % scales["x"],
        "h_scale": "f: %f" % scales["height"],
        "w_scale": "f: %f" % scales["width"],
        "num_classes": "i: %d" % contract["classes"],
    }
    attributes = " ".join('attr { key: "%s" value { %s } }' % item for item in numbers.items())

    def detections(encodings: Any, predictions: Any, anchors: Any) -> Any:
        zero = tf.constant(0.0)
        return zero, tf.identity(zero), tf.identity(zero), tf.identity(zero)

    return tf.function(detections, experimental_implements='name: "%s" %s' % (ports.POSTPROCESS_NAME, attributes))
