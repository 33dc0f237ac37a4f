"""Rules for the scales of integers inside: ranges that nobody measured, biases that count too much or too little."""

import math
from collections.abc import Iterator

from litekiln.formats.tflite import (
    CONCATENATION,
    CONV,
    DEPTHWISE,
    DEQUANTIZE,
    FULLY,
    LOGISTIC,
    QUANTIZE,
    RAW_OUTPUTS,
    RESHAPE,
    TRANSPOSE_CONV,
    Operator,
    Tensor,
)
from litekiln.lint.findings import DEAD, ERROR, WARNING, Finding
from litekiln.lint.outputs import CONVERT
from litekiln.lint.subject import LIMITS, Kind, Subject
from litekiln.wording import amount, listed, shown

MEASURE = (
    "convert it again from its float model, with pictures for calibration: inv new --calib DIR, inv build. "
    "Default ranges are only good for measuring speed"
)
BYTES = ("uint8", "int8")
PASSING = (DEQUANTIZE, QUANTIZE, RESHAPE, CONCATENATION)  # operators behind which the same numbers stand
FAR = 6  # operators to walk back
LOWEST_LOGIT = -1.0  # a class score that can't be lower says "27 %" of everything; those of sound networks reach -10
FEWEST, MANY = 2, 4  # operators whose scales are compared
# The inputs of an operator that adds a bias: the index of the data, of the weights, of the bias.
BIASED = {CONV: (0, 1, 2), DEPTHWISE: (0, 1, 2), FULLY: (0, 1, 2), TRANSPOSE_CONV: (2, 1, 3)}
INTEGERS = ("int32", "int64")
TOLERANCE = 0.01
MOST_LOOKED_AT = 20  # biases that are read: reading costs work, which is limited


def check_ranges(subject: Subject) -> Iterator[Finding]:
    """TF1's converter gives every tensor without a measured range the same default, and raises nothing."""
    facts = [*_boxes(subject), *_scores(subject), *_linear(subject)]
    if facts:
        yield Finding(DEAD, ERROR, "; ".join(facts), MEASURE)


def _boxes(subject: Subject) -> Iterator[str]:
    place = _raw_output(subject, 0)
    tensor = _integers(subject, place) if place is not None else None
    if tensor is not None and tensor.zero_point == LIMITS[tensor.dtype][0]:
        yield f"the encoded boxes are {_as_told(tensor)}, so none of their numbers can be negative"


def _scores(subject: Subject) -> Iterator[str]:
    place = _raw_output(subject, 1)
    tensor = _integers(subject, place, before=LOGISTIC) if place is not None else None
    if tensor is None or tensor.scale is None:
        return
    lowest = (LIMITS[tensor.dtype][0] - tensor.zero_point) * tensor.scale
    if math.isfinite(lowest) and lowest > LOWEST_LOGIT:
        low = 1 / (1 + math.exp(-min(lowest, 700.0)))
        yield f"the scores come from {_as_told(tensor)} through a sigmoid, so none can be below {low:.2f}"


def _linear(subject: Subject) -> Iterator[str]:
    """Measured ranges differ from operator to operator; where no activation function cuts off, they reach below zero."""
    file, joined = subject.file, _joined(subject)
    outputs = [each.outputs[0] for each in file.operators if each.linear and each.gives_first]
    outputs = [each for each in outputs if file.tensors[each].dtype in BYTES and file.tensors[each].scale is not None]
    cut = all(file.tensors[each].zero_point == LIMITS[file.tensors[each].dtype][0] for each in outputs)
    compared, fewest = (outputs, FEWEST) if cut else ([each for each in outputs if each not in joined], MANY)
    found = [file.tensors[each] for each in compared]
    if len(found) >= fewest and len({(each.dtype, each.scale, each.zero_point) for each in found}) == 1:
        yield f"all {len(found)} tensors that no activation function cuts off are {_as_told(found[0])}"


def _joined(subject: Subject) -> set[int]:
    """Tensors that are joined, maybe after a change of shape: these have to share a scale."""
    joined: set[int] = set()
    for operator in reversed(subject.file.operators):
        if operator.kind == CONCATENATION or (operator.kind == RESHAPE and joined.intersection(operator.outputs)):
            joined.update(operator.inputs)
    return joined


def _raw_output(subject: Subject, port: int) -> int | None:
    """The tensor of the encoded boxes or of the scores, as it enters the PostProcess operator or leaves a file without it."""
    file = subject.file
    if file.postprocess:
        inputs = file.postprocess[0].inputs
        return inputs[port] if port < len(inputs) and inputs[port] >= 0 else None
    if subject.kind is not Kind.RAW:
        return None
    return subject.raw.get(RAW_OUTPUTS[port])


def _integers(subject: Subject, tensor: int, before: int | None = None) -> Tensor | None:
    """The bytes that a tensor stands for; with `before`, those that enter an operator of this kind."""
    file, passed = subject.file, before is None
    for _ in range(FAR):
        found = file.tensors[tensor]
        if passed and found.dtype in BYTES and found.scale is not None:
            return found
        made = file.made_by(tensor)
        if made is None or not made.inputs or made.inputs[0] < 0 or made.kind not in (*PASSING, before):
            return None
        passed = passed or made.kind == before
        tensor = made.inputs[0]
    return None


def _as_told(tensor: Tensor) -> str:
    return f"{tensor.dtype} with scale {tensor.scale:.6g} at zero point {tensor.zero_point}"


def check_biases(subject: Subject) -> Iterator[Finding]:
    """A bias is added to sums of products as it is: its scale has to be theirs."""
    off = [(_times(subject, each), each) for each in subject.file.operators if each.gives_first]
    wrong = [(times, each) for times, each in off if times > 1 + TOLERANCE][:MOST_LOOKED_AT]
    wrong = [(times, each) for times, each in wrong if not _adds_nothing(subject, each)]
    if not wrong:
        return
    names = {id(each): _short(subject.file.tensors[each.outputs[0]].name) for _, each in wrong}
    times, worst = max(wrong, key=lambda found: found[0])
    far = f"{times:.3g} times too large or too small" if math.isfinite(times) else "it can't be compared"
    added = amount(len(wrong), "operator adds a bias whose scale is", "operators add biases whose scales are")
    evidence = f"{added} not input x weights ({listed(list(names.values()), 3)}); at worst {far} ({names[id(worst)]})"
    yield Finding("bias-scales", WARNING, evidence, CONVERT)


def _short(name: str) -> str:
    """The end of a tensor's name. Converters join the names of all operators that became one."""
    return shown("/".join(name.split(";")[0].split("/")[-2:]))


def _times(subject: Subject, operator: Operator) -> float:
    """How many times too large or too small the worst scale of an integer bias is; 1 where there is none."""
    places = BIASED.get(operator.number) if not operator.name else None
    if places is None or len(operator.inputs) <= places[2] or min(operator.inputs[each] for each in places) < 0:
        return 1.0
    entry, weights, bias = (subject.file.tensors[operator.inputs[each]] for each in places)
    if bias.dtype not in INTEGERS or entry.scale is None or not weights.scales or not bias.scales:
        return 1.0
    wanted = [entry.scale * each for each in weights.scales]
    if len(bias.scales) not in (1, len(wanted)):
        return math.inf
    pairs = zip(wanted, bias.scales if len(bias.scales) > 1 else bias.scales * len(wanted), strict=True)
    return max(_ratio(first, second) for first, second in pairs)


def _ratio(first: float, second: float) -> float:
    if first == second:
        return 1.0
    if not (first > 0 and second > 0 and math.isfinite(first) and math.isfinite(second)):
        return math.inf
    return max(first / second, second / first)


def _adds_nothing(subject: Subject, operator: Operator) -> bool:
    """Whether the bias is a constant of zeros: then its scale doesn't matter."""
    return subject.file.is_zero(operator.inputs[BIASED[operator.number][2]])


RULES = (check_ranges, check_biases)
