"""The ranges of a float model's tensors over pictures, the same ones on every processor, to the last bit.

TensorFlow's calibrator runs kernels whose sums come out in another order on another processor, and each scale of an integer model
follows from a range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

import numpy

import machine_faults
from tflite_file import exact_operators, exact_sums, flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FLOAT32 = "float32"
ALIKE = 1e-3  # the share of a range that rounding in 32 bits can't come near
NOTHING = 1e-6  # what is smaller than this may be nothing but rounding
Range = Tuple[float, float]


class Network:
    """A model that is run in exact arithmetic, operator by operator. Nothing of it changes, so threads can share it."""

    def __init__(self, model: Any, operators: Sequence[int] | None = None) -> None:
        """`operators` are the numbers of those that are run; the rest of the model makes nothing that has a range."""
        graph = model.subgraphs[0]
        named = list(flat.operators(model))
        self._operators = [named[place] for place in (range(len(named)) if operators is None else operators)]
        self._tensors = graph.tensors
        self._input = int(graph.inputs[0])
        self._constants = {number: _constant(model, tensor) for number, tensor in enumerate(graph.tensors)}
        self._weights: dict[tuple[int, int], numpy.ndarray] = {}
        self._last = {int(each): place for place, (_, operator) in enumerate(self._operators) for each in operator.inputs}

    def unknown(self) -> list[str]:
        """The operators that are not known to be exact."""
        names = {name for name, _ in self._operators if name not in exact_operators.OPERATORS and name != flat.POSTPROCESS}
        return sorted(name.decode() for name in names)

    def differs(self, picture: numpy.ndarray) -> list[str]:
        """The first operator, if any, that gives another range for a picture than TensorFlow found, or that can't be run."""
        try:
            found = self.ranges(picture)
        except exact_operators.Unknown as error:
            return [str(error)]
        for name, operator in self._operators:
            for number in (int(each) for each in operator.outputs):
                stated = self._tensors[number].quantization
                if number in found and stated is not None and stated.min is not None:
                    if not _alike(found[number], (float(stated.min[0]), float(stated.max[0]))):
                        return [name.decode()]
        return []

    def ranges(self, picture: numpy.ndarray) -> dict[int, Range]:
        """The lowest and the highest value of each float tensor that one picture leads to, by the tensor's number."""
        return {number: value.ends() for number, value in self._values(picture) if self.kind(number) == FLOAT32}

    def values(self, picture: numpy.ndarray) -> Iterator[tuple[int, numpy.ndarray]]:
        """Each tensor that one picture leads to, by its number."""
        return ((number, value.whole) for number, value in self._values(picture))

    def _values(self, picture: numpy.ndarray) -> Iterator[tuple[int, _Value]]:
        values = {self._input: _Value(picture.astype(numpy.float64))}
        yield self._input, values[self._input]
        for place, (name, operator) in enumerate(self._operators):
            if name == flat.POSTPROCESS:  # what it makes stays in float
                continue
            for number, made in self._run(place, name, operator, values).items():
                values[number] = _Value(made)
                yield number, values[number]
            for each in {int(each) for each in operator.inputs if self._last[int(each)] == place}:
                values.pop(each, None)

    def kind(self, number: int) -> str:
        """A tensor's type."""
        return str(flat.TYPES[self._tensors[number].type])

    def _run(self, place: int, name: bytes, operator: Any, values: dict[int, _Value]) -> dict[int, numpy.ndarray]:
        try:
            made = exact_operators.OPERATORS[name](_Call(self, place, operator, values))
        except exact_operators.Unknown:
            raise
        except Exception as error:
            machine_faults.pass_on(error)
            raise exact_operators.Unknown(name.decode()) from error
        listed = made if isinstance(made, list) else [made]
        return dict(zip((int(each) for each in operator.outputs), listed))

    def constant(self, number: int) -> numpy.ndarray:
        value = self._constants.get(number)
        if value is None:
            raise exact_operators.Unknown("an operator that reads what no operator gives")
        return value

    def weights(
        self, place: int, index: int, number: int, terms: int, form: Callable[[numpy.ndarray], numpy.ndarray]
    ) -> numpy.ndarray:
        """Prepared once for all pictures."""
        if (place, index) not in self._weights:
            self._weights[place, index] = exact_sums.snap_weights(form(self.constant(number)), terms)
        return self._weights[place, index]


class _Value:
    """A tensor's value for one picture, and what is computed of it at most once."""

    def __init__(self, whole: numpy.ndarray) -> None:
        self.whole = whole
        self._ends: Range | None = None
        self._snapped: numpy.ndarray | None = None

    def ends(self) -> Range:
        """Its lowest and its highest number."""
        if self._ends is None:
            self._ends = exact_sums.extremes(self.whole)
        return self._ends

    def snapped(self) -> numpy.ndarray:
        if self._snapped is None:
            self._snapped = exact_sums.snap(self.whole, ends=self.ends() if self.whole.size else None)
        return self._snapped


class _Call:
    """One operator with its inputs: see exact_operators.Call."""

    def __init__(self, network: Network, place: int, operator: Any, values: dict[int, _Value]) -> None:
        self._network, self._place, self._values = network, place, values
        self._inputs = [int(each) for each in operator.inputs]
        self.options = operator.builtinOptions
        self.count = len(self._inputs)
        self.kind = network.kind(int(operator.outputs[0]))

    def __getitem__(self, place: int) -> numpy.ndarray:
        number = self._inputs[place]
        return self._values[number].whole if number in self._values else self._network.constant(number)

    def has(self, place: int) -> bool:
        return place < self.count and self._inputs[place] >= 0

    def snapped(self, place: int) -> numpy.ndarray:
        number = self._inputs[place]
        return self._values[number].snapped() if number in self._values else exact_sums.snap(self._network.constant(number))

    def weights(self, place: int, terms: int, form: Callable[[numpy.ndarray], numpy.ndarray]) -> numpy.ndarray:
        if self._inputs[place] in self._values:  # they are computed
            return exact_sums.snap_weights(form(self[place]), terms)
        return self._network.weights(self._place, place, self._inputs[place], terms, form)


def _constant(model: Any, tensor: Any) -> numpy.ndarray | None:
    """A constant tensor's value, or None for one that is computed."""
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    kind = numpy.dtype(flat.TYPES[tensor.type])
    value = numpy.frombuffer(bytes(data), kind).reshape(tensor.shape if tensor.shape is not None else ())
    return value.astype(numpy.float64) if kind == numpy.float32 else value


def _alike(one: Range, other: Range) -> bool:
    room = ALIKE * max(map(abs, other)) + NOTHING
    return all(abs(mine - theirs) <= room for mine, theirs in zip(_with_zero(one), _with_zero(other)))


def _with_zero(found: Range) -> Range:
    """A range holds 0, which padding needs. TensorFlow sees to that, too."""
    return min(found[0], 0.0), max(found[1], 0.0)


def join(one: dict[int, Range], other: dict[int, Range]) -> dict[int, Range]:
    """The ranges over the pictures of both."""
    return {
        number: (min(low, one.get(number, (low, high))[0]), max(high, one.get(number, (low, high))[1]))
        for number, (low, high) in other.items()
    }


def write(model: Any, ranges: dict[int, Range]) -> None:
    """Put the ranges into a calibrated model, in place of all that it has."""
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        stated = tensor.quantization
        if stated is None or stated.min is None:
            continue
        if number in ranges:
            stated.min, stated.max = ([numpy.float32(each)] for each in _with_zero(ranges[number]))
        else:
            tensor.quantization = None
