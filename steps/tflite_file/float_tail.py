"""Keep the operators in float that turn a network's predictions into detections, where those are ordinary ones, as in CenterNet.

In 8 bits they find nothing. A peak of the heat map is a score that differs from the highest of its neighbours by less than a
millionth; in 8 bits that becomes 0, and no difference is less than 0. Class numbers and boxes would be rounded to 256 levels, too.
So the graph is cut after its last layers with weights, the first part is quantized, and the rest is put back unchanged.
"""

from __future__ import annotations

from typing import Any

import protocol

from tflite_file import flat

LAYERS = (b"CONV_2D", b"DEPTHWISE_CONV_2D", b"TRANSPOSE_CONV", b"FULLY_CONNECTED")


def split(model: Any) -> Tail:
    """The operators behind the network, as a Tail; only the network is left in the model."""
    graph, tail = model.subgraphs[0], flat.read(bytearray(flat.write(model)))
    before = network(model)
    made = {int(each) for place in before for each in graph.operators[place].outputs}
    behind = [operator for place, operator in enumerate(tail.subgraphs[0].operators) if place not in before]
    used = [int(each) for operator in behind for each in operator.inputs] + [int(each) for each in tail.subgraphs[0].outputs]
    if {int(each) for each in graph.inputs} & set(used):
        raise protocol.Refused("what makes the detections looks at the picture itself, not only at the network's predictions")
    graph.operators = [graph.operators[place] for place in before]
    graph.outputs = list(dict.fromkeys(each for each in used if each in made))
    _drop_unused_codes(model)
    flat.sign(model, ["predictions_%d" % place for place in range(len(graph.outputs))])
    return Tail(tail, behind, list(graph.outputs))


def _drop_unused_codes(model: Any) -> None:
    """Remove kinds of operators that are no longer used: one quantizer would still look for their kernels."""
    graph = model.subgraphs[0]
    used = sorted({operator.opcodeIndex for operator in graph.operators})
    model.operatorCodes = [model.operatorCodes[each] for each in used]
    for operator in graph.operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)


def network(model: Any) -> list[int]:
    """The indices of all layers with weights and of all operators that they depend on."""
    needed: set[int] = set()
    places: list[int] = []
    for place, (name, operator) in reversed(list(enumerate(flat.operators(model)))):
        if name in LAYERS or needed & {int(each) for each in operator.outputs}:
            needed |= {int(each) for each in operator.inputs}
            places.append(place)
    return sorted(places)


class Tail:
    """The operators behind a network, waiting for its quantized form."""

    def __init__(self, model: Any, operators: list[Any], predictions: list[int]) -> None:
        self._model, self._operators, self._predictions = model, operators, predictions

    def join(self, network: Any) -> None:
        """Put them behind a network whose outputs are the predictions, in the same order and in float."""
        source, target = self._model.subgraphs[0], network.subgraphs[0]
        self._numbers = dict(zip(self._predictions, (int(each) for each in target.outputs)))
        for operator in self._operators:
            operator.opcodeIndex = _code(network, self._model.operatorCodes[operator.opcodeIndex])
            operator.inputs = [self._number(network, int(each)) for each in operator.inputs]
            operator.outputs = [self._number(network, int(each)) for each in operator.outputs]
            target.operators.append(operator)
        target.outputs = [self._number(network, int(each)) for each in source.outputs]

    def _number(self, network: Any, old: int) -> int:
        """The tensor's number in the network; it is moved there at its first use."""
        if old >= 0 and old not in self._numbers:
            tensor = self._model.subgraphs[0].tensors[old]
            tensor.quantization = None  # the ranges recorded by the calibration
            network.buffers.append(self._model.buffers[tensor.buffer])
            tensor.buffer = len(network.buffers) - 1
            network.subgraphs[0].tensors.append(tensor)
            self._numbers[old] = len(network.subgraphs[0].tensors) - 1
        return self._numbers.get(old, old)


def _code(model: Any, code: Any) -> int:
    """The number of an operator's kind in the model; a new kind is added."""
    for number, known in enumerate(model.operatorCodes):
        if vars(known) == vars(code):
            return number
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
