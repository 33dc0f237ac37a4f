"""Check a finished file against its contract: each check says what it looked at, what it found and what it expected.

Converters refuse a fresh file at the first check that fails. The verify step checks the delivered file again, and the report has
its whole list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy
import protocol

from tflite_file import arithmetic, biases, flat, runtimes, weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tflite_file.variants import Variant

LABEL_COUNT = "label-count"
LEVELS = {"int8": 255, "uint8": 255, "int16": 65534}
LOWEST = {"int8": -128, "uint8": 0, "int16": -32767}
SCALE_TOLERANCE = 0.02
ZERO_POINT_TOLERANCE = 1
NEEDS_FLEX = (
    "the graph has operators that only full TensorFlow can run: %s; the Pi's runtime can't. "
    "For another runtime: --allow-flex; else train or export the model without them"
)

# By whether several operators add the bias.
BIAS_CAUSES = {
    True: "its quantizer gave operators that share a bias one scale",
    False: "its quantizer is wrong, or the scales were edited afterwards",
}


class Check(NamedTuple):
    """One check. `problem` says in words what is wrong; it is empty where the check passes."""

    id: str
    what: str
    found: str
    expected: str
    problem: str


def require(checks: Iterable[Check]) -> None:
    """Refuse at the first check that fails."""
    for check in checks:
        if check.problem:
            raise protocol.Refused(check.problem)


def as_data(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The checks as the report lists them: `ok` says whether there was no problem."""
    told = [check._asdict() for check in checks]
    for each in told:
        each["ok"] = not each.pop("problem")
    return told


def of_graph(
    model: Any,
    variant: Variant,
    contract: dict[str, Any],
    names: Sequence[str],
    allow_flex: bool | None = False,
    keep_float: Sequence[str] = (),
) -> Iterator[Check]:
    """The checks that need only the graph. `names` are the outputs' expected names, in order."""
    described = flat.describe(model)
    yield _one_graph(model)
    yield _output_sizes(described["outputs"])
    yield _operators(described["operators"], allow_flex)
    yield _operator_versions(model)
    yield _postprocess(model, variant, contract)
    yield _input(variant, described["inputs"], contract)
    yield _arithmetic(model, variant, keep_float)
    yield _weights(variant, model)
    if not variant.inside("float32"):
        yield _pixel_range(variant, model, contract["range"], keep_float)
        yield _bias_scales(variant, model)
    yield _output_names(variant, model, described["outputs"], names)
    yield _output_types(variant, described["outputs"])
    yield _output_shapes(described["outputs"], contract, names)
    yield _static(model)


def of_words(model: Any, contract: dict[str, Any], labels: list[str], packed: Any) -> Iterator[Check]:
    """The checks of the metadata and of the label map. `packed` is the file's metadata, read back: packed_metadata.Packed."""
    yield _labels(contract, labels)
    yield _packed_labels(labels, packed)
    yield _packed_pixels(contract, packed)
    yield _packed_outputs(model, packed)


def _one_graph(model: Any) -> Check:
    count = len(model.subgraphs)
    problem = "" if count == 1 else "the file has %d subgraphs: it branches or loops" % count
    return Check("one-graph", "one graph, without branches or loops", str(count), "1", problem)


def _operators(operators: dict[str, int], allow_flex: bool | None) -> Check:
    flex = sorted(name for name in operators if name.startswith("Flex"))
    expected = "only full TensorFlow's, asked for by --allow-flex" if allow_flex else "none"
    problem = NEEDS_FLEX % ", ".join(flex) if flex and not allow_flex else ""
    return Check("no-flex", "no operators that only full TensorFlow can run", ", ".join(flex) or "none", expected, problem)


def _operator_versions(model: Any) -> Check:
    """Whether the runtimes that must run the file have its operators in the versions that it states."""
    needed = flat.versions(model)
    lacking = runtimes.lacking(needed)
    problem = (
        "the file needs %s: the converter of another toolchain may write what they have" % "; ".join(lacking) if lacking else ""
    )
    found = "%d of %d operators" % (len(needed) - len({each.split()[0] for each in lacking}), len(needed))
    what = "its operators are, in the versions that it states, in %s and %s" % runtimes.RUNTIMES
    return Check("operator-versions", what, found, "%d of %d operators" % (len(needed), len(needed)), problem)


def _postprocess(model: Any, variant: Variant, contract: dict[str, Any]) -> Check:
    wanted = 1 if contract["outputs"] == "postprocess" and not variant.raw else 0
    count = sum(name == flat.POSTPROCESS for name, _ in flat.operators(model))
    problem = ""
    if count and not wanted:
        problem = "%s has a PostProcess operator, which its name excludes" % variant.name
    elif count != wanted:
        problem = "the graph has %d PostProcess operators, expected %d" % (count, wanted)
    what = "exactly one PostProcess operator" if wanted else "no PostProcess operator"
    return Check("postprocess", what, str(count), str(wanted), problem)


def _arithmetic(model: Any, variant: Variant, keep_float: Sequence[str]) -> Check:
    found, expected, problem = arithmetic.judge(model, variant, keep_float)
    return Check("arithmetic", "it computes as its name says (entry/weights/result)", found, expected, problem)


def _input(variant: Variant, inputs: list[dict[str, Any]], contract: dict[str, Any]) -> Check:
    expected, shape = variant.entry, [1, contract["height"], contract["width"], 3]
    stated, wanted = ", ".join("%s %s" % (each["type"], each["shape"]) for each in inputs), "%s %s" % (expected, shape)
    right = len(inputs) == 1 and inputs[0]["type"] == expected and inputs[0]["shape"] == shape
    problem = "" if right else "%s has input %s, expected %s" % (variant.name, stated, wanted)
    return Check("input", "one RGB picture of this size and type goes in", stated, wanted, problem)


def first_quantized(model: Any) -> Any:
    """The first integer tensor of the picture: the input itself, or what a QUANTIZE makes of it; None where there is none."""
    graph = model.subgraphs[0]
    tensor = int(graph.inputs[0])
    if flat.TYPES[graph.tensors[tensor].type] == "float32":
        made = [op for name, op in flat.operators(model) if name == b"QUANTIZE" and int(op.inputs[0]) == tensor]
        return graph.tensors[int(made[0].outputs[0])] if made else None
    return graph.tensors[tensor]


def _pixel_range(variant: Variant, model: Any, wanted: Sequence[float], keep_float: Sequence[str]) -> Check:
    """Whether the integers of the input span the pixel range that the network was trained with."""
    what = "its input's integers stand for the pixels that the network was trained with"
    tensor = first_quantized(model)
    if tensor is None:
        problem = "" if keep_float else "the input is float and nothing quantizes it"
        return Check(
            "pixel-range", what, "float", "float, where its first operators are kept so" if keep_float else "integers", problem
        )
    kind, scale, zero = flat.TYPES[tensor.type], float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    expected = (wanted[1] - wanted[0]) / LEVELS[kind]
    zero_wanted = LOWEST[kind] - wanted[0] / expected
    if kind == "int16":
        expected, zero_wanted = max(abs(value) for value in wanted) / 32767.0, 0.0  # symmetric
    found, should = "scale %.6f, zero point %d" % (scale, zero), "scale %.6f, zero point %g" % (expected, round(zero_wanted, 1))
    problem = ""
    if abs(scale - expected) > SCALE_TOLERANCE * expected:
        problem = "%s has input scale %.6f, pixels from %g to %g need %.6f: it was calibrated with another pixel range" % (
            variant.name,
            scale,
            wanted[0],
            wanted[1],
            expected,
        )
    elif abs(zero - zero_wanted) > ZERO_POINT_TOLERANCE:
        problem = "%s has input zero point %d, pixels from %g to %g need %d: it was calibrated with another pixel range" % (
            variant.name,
            zero,
            wanted[0],
            wanted[1],
            round(zero_wanted),
        )
    return Check("pixel-range", what, found, should, problem)


def _weights(variant: Variant, model: Any) -> Check:
    count, wrong = weights.wrong(model)
    problem = "%s: %s" % (variant.name, wrong[0]) if wrong else ""
    told = "%d of %d" % (count - len(wrong), count)
    return Check("weights", "each layer has weights, and they are numbers", told, "%d of %d" % (count, count), problem)


def _bias_scales(variant: Variant, model: Any) -> Check:
    """Whether integer operators add the biases that the network has: a bias counts by the scale of the sum it is added to."""
    count, wrong = biases.wrong(model)
    problem = ""
    if wrong:
        worst = max(wrong, key=lambda each: each.times)
        problem = (
            "%s adds biases with another scale than that of the sum (input x weights) in %d of %d operators, the worst is %s, "
            "by a factor of %.3g: %s" % (variant.name, len(wrong), count, worst.name, worst.times, BIAS_CAUSES[worst.shared])
        )
    what = "each bias has the scale of the sum that it is added to"
    return Check("bias-scales", what, "%d of %d have" % (count - len(wrong), count), "%d of %d" % (count, count), problem)


def _output_names(variant: Variant, model: Any, outputs: list[dict[str, Any]], wanted: Sequence[str]) -> Check:
    """Whether the outputs are in order: by the PostProcess operator's ports where there is one, since names can be wrong."""
    graph, last = model.subgraphs[0], flat.postprocess(model)
    names = [each["name"] for each in outputs]
    given = [int(each) for each in graph.outputs]
    problem = ""
    if tuple(names) != tuple(wanted):
        problem = "%s gives %s, expected %s" % (variant.name, ", ".join(names) or "nothing", ", ".join(wanted))
    elif last is not None and [int(each) for each in last.outputs] != given:
        ports = [int(each) for each in last.outputs]
        order = [wanted[ports.index(each)] if each in ports else "?" for each in given]
        problem = "the outputs that are called %s are %s by the operator's ports" % (", ".join(names), ", ".join(order))
        names = order
    elif tuple(wanted) == flat.DETECTION_OUTPUTS and given != sorted(given):
        problem = "the outputs' tensors are numbered %s: tools that tell them apart by number would mix them up" % given
    elif flat.signed_outputs(model) != names:
        problem = "the signature calls the outputs %s, they are %s" % (", ".join(flat.signed_outputs(model)), ", ".join(names))
    return Check(
        "output-order", "outputs in this order, by ports, numbers and signature", ", ".join(names), ", ".join(wanted), problem
    )


def _output_types(variant: Variant, outputs: list[dict[str, Any]]) -> Check:
    expected, types = variant.result, sorted({each["type"] for each in outputs})
    names = ", ".join(each["name"] for each in outputs)
    problem = "" if types == [expected] else "%s gives %s as %s" % (variant.name, names, " and ".join(types))
    return Check("output-types", "outputs of this type", " and ".join(types), expected, problem)


def _output_sizes(outputs: list[dict[str, Any]]) -> Check:
    """Whether outputs have sizes: converters before TensorFlow 2.4 silently make empty ones of a TF2 export."""
    hollow = [each["name"] for each in outputs if 0 in each["shape"] or not each["shape"]]
    named = ", ".join(dict.fromkeys(hollow))
    problem = "output %s has no size: the converter is too old for this export" % named if hollow else ""
    return Check("output-sizes", "every output has a size", "%d of none" % len(hollow), "0 of none", problem)


def _output_shapes(outputs: list[dict[str, Any]], contract: dict[str, Any], names: Sequence[str]) -> Check:
    found = ", ".join("%s %s" % (each["name"], each["shape"]) for each in outputs)
    expected, problem = "any", ""
    if tuple(names) == flat.DETECTION_OUTPUTS:
        shapes = flat.detection_shapes(contract["max_detections"])
        expected = ", ".join("%s %s" % pair for pair in zip(names, shapes))
        if [each["shape"] for each in outputs] != shapes:
            problem = "outputs have shapes %s, expected %s" % (found, expected)
    return Check("output-shapes", "outputs of these shapes", found, expected, problem)


def _static(model: Any) -> Check:
    """Whether all shapes are fixed: open ones cost time on each run, and some runtimes refuse them."""
    open_ones = [
        each.name.decode("utf-8", "replace")
        for each in model.subgraphs[0].tensors
        if each.shapeSignature is not None and len(each.shapeSignature) and min(int(size) for size in each.shapeSignature) < 0
    ]
    shown = ", ".join(open_ones[:3])
    problem = "%d tensors have shapes that are left open, the first: %s" % (len(open_ones), shown) if open_ones else ""
    return Check("static-shapes", "no shape is left open", "%d open" % len(open_ones), "0 open", problem)


def _labels(contract: dict[str, Any], labels: list[str]) -> Check:
    wanted = contract["classes"]
    problem = "" if not wanted or len(labels) == wanted else "the label map has %d classes, the model %d" % (len(labels), wanted)
    return Check(LABEL_COUNT, "one label for each class", str(len(labels)), str(wanted or "not known"), problem)


def _packed_labels(labels: list[str], packed: Any) -> Check:
    problem = "" if list(packed.labels) == labels else "the label file in the metadata is not the label map"
    found, expected = ("%d lines" % len(each) for each in (packed.labels, labels))
    return Check("packed-labels", "the label file in the metadata is the label map", found, expected, problem)


def _packed_pixels(contract: dict[str, Any], packed: Any) -> Check:
    wanted = contract["mean"], contract["std"]
    expected, problem = "mean %s, std %s" % tuple(map(_numbers, wanted)), ""
    found = "mean %s, std %s" % tuple(map(_numbers, packed.pixels)) if packed.pixels else "nothing"
    if not packed.pixels or not numpy.allclose(packed.pixels, wanted, rtol=1e-5, atol=1e-5):
        problem = "the metadata says of a pixel: %s; the model takes %s" % (found, expected)
    return Check("packed-pixels", "the metadata says what a pixel becomes", found, expected, problem)


def _numbers(values: Sequence[float]) -> str:
    rounded = ["%g" % value for value in values]
    return rounded[0] if len(set(rounded)) == 1 else "[%s]" % ", ".join(rounded)


def _packed_outputs(model: Any, packed: Any) -> Check:
    names = tuple(each["name"] for each in flat.describe(model)["outputs"])
    wanted = flat.MEANINGS if names == flat.DETECTION_OUTPUTS else names
    problem = "" if tuple(packed.outputs) == wanted else "the metadata names the outputs %s" % ", ".join(packed.outputs)
    return Check(
        "packed-outputs", "the metadata says what comes out", ", ".join(packed.outputs) or "nothing", ", ".join(wanted), problem
    )
