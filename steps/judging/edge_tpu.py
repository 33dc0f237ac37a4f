"""Judge without its compiler whether a Coral Edge TPU can run a model: 8-bit integers, fixed shapes, operators that it knows.

Its compiler maps operators up to the first that it can't map, and leaves all others to the processor.
"""

from __future__ import annotations

from typing import Any

from tflite_file import flat

KNOWN = frozenset(
    "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED L2_NORMALIZATION LOGISTIC MAXIMUM "
    "MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR "
    "RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH "
    "TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM".split()
)
EIGHT_BITS = ("int8", "uint8")
WIDE = ("int32",)  # biases, shapes and paddings
CACHE = 8 * 1000 * 1000  # bytes of parameters that fit into its own memory
AT_THE_ENDS = ("QUANTIZE", "DEQUANTIZE")


def judge(model: Any) -> dict[str, Any]:
    """Whether the Edge TPU is ready for the model; for each kind of operator how many there are and whether they are mapped."""
    graph, stopped = model.subgraphs[0], ""
    counted: dict[tuple[str, str], int] = {}
    for name, operator in ((name.decode(), operator) for name, operator in flat.operators(model)):
        why = _against(name, graph, operator)
        if not why and stopped:
            why = "stands behind %s" % stopped
        elif why and not stopped and name not in AT_THE_ENDS:
            stopped = name
        key = (name, why)
        counted[key] = counted.get(key, 0) + 1
    told: list[dict[str, Any]] = [
        {"name": name, "count": count, "mapped": not why, "why": why} for (name, why), count in sorted(counted.items())
    ]
    mapped, every = (sum(each["count"] for each in some) for some in ([each for each in told if each["mapped"]], told))
    parameters = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    ready = bool(mapped) and not any(not each["mapped"] and each["name"] not in _ON_THE_PROCESSOR for each in told)
    return {
        "ready": ready,
        "why": _in_words(ready, mapped, every, told),
        "mapped": mapped,
        "operators": told,
        "parameters": parameters,
        "fits_cache": parameters <= CACHE,
    }


_ON_THE_PROCESSOR = AT_THE_ENDS + (flat.POSTPROCESS.decode(),)  # usually left there


def _against(name: str, graph: Any, operator: Any) -> str:
    """Why this operator alone can't be mapped; '' where it can."""
    if name not in KNOWN:
        return "the Edge TPU has no such operator"
    tensors = [graph.tensors[int(each)] for each in list(operator.inputs) + list(operator.outputs) if int(each) >= 0]
    kinds = {flat.TYPES[tensor.type] for tensor in tensors} - set(EIGHT_BITS) - set(WIDE)
    if kinds:
        return "computes with %s, not with 8-bit integers" % " and ".join(sorted(kinds))
    if any(tensor.shape is None or (tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature)) for tensor in tensors):
        return "has a shape that is left open"
    return ""


def _in_words(ready: bool, mapped: int, every: int, told: list[dict[str, Any]]) -> str:
    if not mapped:
        return "none of its %d operators would run on it: it takes models of 8-bit integers" % every
    if ready:
        return "%d of %d operators would run on it, the rest are the usual ends on the processor" % (mapped, every)
    first = next(each for each in told if not each["mapped"] and each["name"] not in _ON_THE_PROCESSOR)
    return "%d of %d operators would run on it; not: %s, %s" % (mapped, every, first["name"], first["why"])
