"""Fold a frozen graph's constants by arithmetic that every processor does alike, so that a converter finds nothing to compute.

A converter computes what is constant with TensorFlow's kernels, whose last bits differ between processors: a reciprocal square root
starts from an approximation that each vendor makes in another way. Here a batch normalisation becomes the weights and the bias of
the convolution before it, in float64: IEEE 754 defines +, -, *, / and the square root to the last bit.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import numpy
import tensorflow as tf

from tflite_file import exact_curves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NORMALISATIONS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
DEPTHWISE = "DepthwiseConv2dNative"
CONVOLUTIONS = ("Conv2D", DEPTHWISE)
BIASES = ("BiasAdd", "Add", "AddV2")
LAST_AXIS = (b"NHWC", b"")
FOLDED = "/folded"
EPSILON = 0.0001  # of a normalisation that doesn't state it
# Computed in float64, by operations that are defined to the last bit, and rounded once.
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": numpy.add,
    "AddV2": numpy.add,
    "AddN": lambda *values: sum(values),
    "Sub": numpy.subtract,
    "Mul": numpy.multiply,
    "Div": numpy.divide,
    "RealDiv": numpy.divide,
    "Maximum": numpy.maximum,
    "Minimum": numpy.minimum,
    "SquaredDifference": lambda left, right: (left - right) * (left - right),
    "Neg": numpy.negative,
    "Abs": numpy.abs,
    "Sqrt": numpy.sqrt,
    "Rsqrt": lambda value: 1.0 / numpy.sqrt(value),
    "Reciprocal": lambda value: 1.0 / value,
    "Square": numpy.square,
    "Relu": lambda value: numpy.maximum(value, 0.0),
    "Relu6": lambda value: numpy.clip(value, 0.0, 6.0),
    "BiasAdd": numpy.add,
    "Exp": exact_curves.exp,
    "Log": exact_curves.log,
    "Sigmoid": exact_curves.logistic,
    "Tanh": exact_curves.tanh,
}
COMPUTED = (*ARITHMETIC, "Sum")
# They move numbers and change none.
MOVES: dict[str, Callable[..., Any]] = {
    "Identity": lambda value: value,
    "StopGradient": lambda value: value,
    "Reshape": lambda value, shape: value.reshape(shape),
    "ExpandDims": lambda value, axis: numpy.expand_dims(value, int(axis)),
    "Transpose": lambda value, order: value.transpose(order),
    "BroadcastTo": numpy.broadcast_to,
    "Tile": numpy.tile,
    "Fill": numpy.full,
    "ConcatV2": lambda *values: numpy.concatenate(values[:-1], int(values[-1])),
}
# What a converter may compute, too: its kernels can't differ here. They move numbers, or round once by one instruction.
HARMLESS = (
    *MOVES,
    *("Const", "Squeeze", "Pack", "Unpack", "StridedSlice", "Slice", "Split", "SplitV", "Gather", "GatherV2", "Pad", "PadV2"),
    *("Shape", "ZerosLike", "OnesLike", "ReverseV2", "MatrixDiag", "MatrixDiagV2", "MatrixDiagV3", "Cast"),
    *("Add", "AddV2", "Sub", "Mul", "Div", "RealDiv", "Maximum", "Minimum", "SquaredDifference", "Neg", "Abs", "Square", "Relu"),
    *("Relu6", "BiasAdd"),
)


class _Graph:
    """A frozen graph, by the names of its nodes."""

    def __init__(self, graph: Any, outputs: Sequence[str]) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self._values: dict[str, numpy.ndarray | None] = {}
        read = [_node_of(each) for node in graph.node for each in node.input] + [_node_of(each) for each in outputs]
        self._readers = collections.Counter(read)

    def is_read_once(self, node: Any) -> bool:
        return self._readers.get(node.name, 0) == 1

    def before(self, node: Any) -> Any:
        """The node that makes the first input."""
        return self.nodes[_node_of(node.input[0])]

    def put(self, node: Any) -> None:
        self.nodes[node.name] = node
        self._values.pop(node.name, None)

    def value(self, tensor: str) -> numpy.ndarray | None:
        """A tensor's value, or None if it isn't constant, or isn't defined to the last bit."""
        name = _node_of(tensor)
        if tensor not in (name, name + ":0"):
            return None
        if name not in self._values:
            self._values[name] = None  # of a loop
            self._values[name] = self._computed(self.nodes[name])
        return self._values[name]

    def _computed(self, node: Any) -> numpy.ndarray | None:
        if node.op == "Const":
            return tf.make_ndarray(node.attr["value"].tensor)  # type: ignore[no-any-return]
        if node.op not in COMPUTED and node.op not in MOVES:
            return None
        values = [self.value(each) for each in node.input if not each.startswith("^")]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        if node.op in MOVES:
            return numpy.array(MOVES[node.op](*known))
        if known[0].dtype != numpy.float32:
            return None  # any kernel computes whole numbers alike
        with numpy.errstate(all="ignore"):
            if node.op == "Sum":
                return _sum(known[0].astype(numpy.float64), known[1], keep=_attribute(node, "keep_dims").b).astype(numpy.float32)
            computed = ARITHMETIC[node.op](*(value.astype(numpy.float64) for value in known))
        return numpy.asarray(computed).astype(numpy.float32)


def fold(graph: Any, outputs: Sequence[str]) -> tuple[Any, list[str]]:
    """The graph without what its outputs don't need, and with its constants folded.

    Also the operators, if any, whose constant results are left for the converter to compute, in bits that depend on the processor.
    """
    known = _Graph(graph, outputs)
    for node in list(known.nodes.values()):
        if node.op in NORMALISATIONS and _is_for_use(node) and _attribute(node, "data_format").s in LAST_AXIS:
            _fold_normalisation(known, node)
    for node in list(known.nodes.values()):
        value = known.value(node.name) if node.op in COMPUTED else None
        if value is not None:
            known.put(constant(node.name, value))
    folded = tf.compat.v1.GraphDef(node=known.nodes.values(), library=graph.library, versions=graph.versions)
    needed = tf.compat.v1.graph_util.extract_sub_graph(folded, [_node_of(each) for each in outputs])
    return needed, _left_to_compute(needed)


def _fold_normalisation(known: _Graph, node: Any) -> None:
    """Put a batch normalisation into the convolution before it, if that serves nothing else; else make it a product and a sum."""
    gamma, beta, mean, variance = (known.value(each) for each in node.input[1:5])
    if gamma is None or beta is None or mean is None or variance is None:
        return
    scale = gamma.astype(numpy.float64) / numpy.sqrt(variance.astype(numpy.float64) + (_attribute(node, "epsilon").f or EPSILON))
    shift = beta.astype(numpy.float64) - mean.astype(numpy.float64) * scale
    layer, bias = _layer(known, node)
    if layer is None:
        factor, scaled, summand = (node.name + end for end in ("/scale", "/scaled", "/shift"))
        known.put(constant(factor, scale.astype(numpy.float32)))
        known.put(constant(summand, shift.astype(numpy.float32)))
        known.put(_operator("Mul", scaled, [node.input[0], factor]))
        known.put(_operator("AddV2", node.name, [scaled, summand]))
        return
    weights = known.value(layer.input[1])
    assert weights is not None
    along = scale.reshape(weights.shape[2:]) if layer.op == DEPTHWISE else scale
    kernel, summand, name = (node.name + end for end in ("/weights", "/bias", "/layer"))
    known.put(constant(kernel, (weights.astype(numpy.float64) * along).astype(numpy.float32)))
    known.put(constant(summand, (shift + bias * scale).astype(numpy.float32)))
    changed = tf.compat.v1.NodeDef()
    changed.CopyFrom(layer)
    changed.name, changed.input[1] = name, kernel
    known.put(changed)
    known.put(_operator("BiasAdd", node.name, [name, summand]))


def _layer(known: _Graph, node: Any) -> tuple[Any, numpy.ndarray]:
    """The convolution that only this normalisation reads, or None, and the bias between them."""
    before, bias = known.before(node), numpy.zeros(1)
    if before.op in BIASES and known.is_read_once(before):
        added = known.value(before.input[1])
        if added is None or added.ndim != 1:
            return None, bias
        before, bias = known.before(before), added.astype(numpy.float64)
    fits = before.op in CONVOLUTIONS and _attribute(before, "data_format").s in LAST_AXIS and known.is_read_once(before)
    return (before if fits and known.value(before.input[1]) is not None else None), bias


def value(graph: Any, tensor: str) -> numpy.ndarray:
    """The value of a tensor that is constant."""
    found = _Graph(graph, ()).value(tensor)
    assert found is not None, tensor
    return found


def side_by_side(before: Any, after: Any) -> tuple[Any, list[tuple[str, str, str]]]:
    """A graph in which each layer that was folded lies beside what it was, and reads the same input.

    Also, for each: the name of what it was, of what it became, and of a number inside that may be larger than what comes out.
    """
    both = tf.compat.v1.GraphDef()
    both.CopyFrom(before)
    known = {node.name: node for node in before.node}
    layers = []
    for node in after.node:
        old = known.get(node.name)
        if old is not None and (old.op == node.op or old.op not in (*NORMALISATIONS, *COMPUTED)):
            continue
        added = both.node.add()
        added.CopyFrom(node)
        if old is not None:
            added.name = node.name + FOLDED
            inside = _node_of(node.input[0]) if node.op in BIASES else added.name
            layers.append((node.name, added.name, inside))
    return both, layers


def _left_to_compute(graph: Any) -> list[str]:
    """The operators that give numbers with a fraction from constants alone, and whose kernels may differ."""
    constant_nodes: set[str] = set()
    found: set[str] = set()
    for node in _in_order(graph):
        inputs = [each for each in node.input if not each.startswith("^")]
        if node.op == "Const" or (inputs and all(_node_of(each) in constant_nodes for each in inputs)):
            constant_nodes.add(node.name)
            if node.op not in HARMLESS and _attribute(node, "T").type == tf.float32.as_datatype_enum:
                found.add(node.op)
    return sorted(found)


def _in_order(graph: Any) -> list[Any]:
    """The nodes, each behind those that it reads; loops are left out."""
    nodes = {node.name: node for node in graph.node}
    ordered: dict[str, Any] = {}
    waiting = [(name, False) for name in nodes]
    seen: set[str] = set()
    while waiting:
        name, ready = waiting.pop()
        if ready:
            ordered[name] = nodes[name]
        elif name not in seen:
            seen.add(name)
            waiting.append((name, True))
            waiting += [(_node_of(each), False) for each in nodes[name].input if _node_of(each) in nodes]
    return list(ordered.values())


def _sum(value: numpy.ndarray, axes: numpy.ndarray, *, keep: bool) -> numpy.ndarray:
    """A sum along axes, one number after the other: numpy's own order is not promised."""
    wanted = sorted(int(axis) % value.ndim for axis in numpy.atleast_1d(axes))
    for axis in reversed(wanted):
        value = numpy.add.accumulate(value, axis).take([-1], axis)
    return value if keep else value.squeeze(tuple(wanted))


def _node_of(tensor: str) -> str:
    """The name of the node that makes a tensor, or that an edge for control comes from."""
    return tensor.lstrip("^").partition(":")[0]


def _is_for_use(node: Any) -> bool:
    """Whether a normalisation goes by what was learned, not by the batch at hand."""
    return "is_training" in node.attr and not node.attr["is_training"].b


def _attribute(node: Any, name: str) -> Any:
    """An attribute's value. Asking the node itself for one that it hasn't would give it an empty one."""
    return node.attr[name] if name in node.attr else tf.compat.v1.AttrValue()


def constant(name: str, value: numpy.ndarray) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    return node


def _operator(op: str, name: str, inputs: Sequence[str]) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
    node.attr["T"].type = tf.float32.as_datatype_enum
    return node
