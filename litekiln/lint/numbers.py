"""Rules for the arithmetic: operators that an interpreter must know, classes, the types of convolutions."""

import re
from collections.abc import Iterator

from litekiln.formats.tflite import FLEX, POSTPROCESS, arithmetic, multipliers
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.outputs import CONVERT
from litekiln.lint.runtimes import runtime_of
from litekiln.lint.subject import Kind, Subject
from litekiln.wording import listed, shown

# What promises integer arithmetic; and what promises no more than weights of 8 or 16 bits, as TensorFlow's own tutorials use it.
# Not "unquant", "non-quantized", "before_quantization": these say the opposite.
INTEGERS = re.compile(r"int-?8|8-?bit|full[-_ ]?(?:integer|quant)|fully[-_ ]quant|integer", re.IGNORECASE)
QUANTIZED = re.compile(r"(?<!un)(?<!de)(?<!non)(?<!not)(?<!no)(?<!(?:non|not|pre)[-_ ])(?<!no[-_ ])quant", re.IGNORECASE)
HONEST = re.compile(r"dynamic|hybrid|drq|(?<![a-z])weight(?!ed)", re.IGNORECASE)  # not "lightweight": such a name still claims
WITHOUT_FLEX = "the Pi's runtime can't run it: convert it again without --allow-flex (SELECT_TF_OPS), or change the model"
WITH_PICTURES = "integer arithmetic needs pictures for calibration: inv new --calib DIR, inv build --variant int8"


def check_operators(subject: Subject) -> Iterator[Finding]:
    file = subject.file
    if file.graphs > 1:
        evidence = f"{file.graphs} graphs: it has branches or loops, which can't be checked here"
        yield Finding("several-subgraphs", WARNING if subject.detector else NOTE, evidence, CONVERT)
    custom = sorted({operator.name for operator in file.operators if operator.name and operator.name != POSTPROCESS})
    flex = [name for name in custom if name.startswith(FLEX)]
    others = [name for name in custom if not name.startswith(FLEX)]
    if flex:
        yield Finding("flex-ops", ERROR, f"it has {listed(flex)}", WITHOUT_FLEX)
    known = {runtime for name in others if (runtime := runtime_of(name))}
    for runtime in sorted(known, key=lambda each: each.name):
        named = [name for name in others if runtime_of(name) == runtime]
        yield Finding("custom-ops", WARNING, f"it has {listed(named)}: it only runs {runtime.name}", runtime.remedy)
    unknown = [name for name in others if runtime_of(name) is None]
    if unknown:
        remedy = "run it once on its target: an interpreter that doesn't have them refuses the file"
        yield Finding("custom-ops", WARNING, f"it has {listed(unknown)}, which are not built into TFLite", remedy)


def check_classes(subject: Subject) -> Iterator[Finding]:
    several = subject.option("max_classes_per_detection")
    if several is not None and several > 1:
        evidence = f"max_classes_per_detection is {several}: each box comes up to {several} times, each time with a different class"
        remedy = "export it again with 1, or let your program keep the best class of equal boxes"
        yield Finding("classes-per-detection", WARNING, evidence, remedy)
    if subject.kind is Kind.POSTPROCESS and len(subject.file.postprocess[0].inputs) > 1:
        tensor = subject.file.postprocess[0].inputs[1]
        shape = subject.file.tensors[tensor].shape if tensor >= 0 else ()
        if len(shape) == 3 and subject.classes and shape[2] - subject.classes not in (0, 1):
            evidence = f"the PostProcess operator expects {subject.classes} classes, but gets {shape[2]} scores for each box"
            remedy = "convert it again: one of the two is from another model. With a background class there is one more score"
            yield Finding("class-width", ERROR, evidence, remedy)


def check_types(subject: Subject) -> Iterator[Finding]:
    types, computing = arithmetic(subject.file), multipliers(subject.file)
    inside, weights = {first for first, _ in types}, {second for _, second in types}
    entry = subject.entry.dtype if subject.entry else ""
    if "uint8" in inside:
        evidence = f"{computing} compute in uint8, the scheme of TensorFlow 1; input {entry}"
        remedy = "it runs everywhere; accelerators for int8 may refuse it. Feed bytes as they come from a camera"
        yield Finding("uint8-inside", NOTE, evidence, remedy)
    if "int8" in inside and entry == "uint8":
        evidence = f"input uint8, {computing} in int8, with a QUANTIZE between them"
        yield Finding("uint8-input", NOTE, evidence, "feed bytes from 0 to 255, not int8, and don't normalise them")
    if types and inside == {"float32"}:
        yield from _float_inside(subject, weights)


def _float_inside(subject: Subject, weights: set[str]) -> Iterator[Finding]:
    stored = " and ".join(sorted(weights))
    packed = weights & {"int8", "uint8"}
    promised = [INTEGERS] if packed or "float16" in weights else [INTEGERS, QUANTIZED]
    claims = [text for text in _called(subject) if any(each.search(text) for each in promised) and not HONEST.search(text)]
    claim = next(iter(claims), "")
    evidence = f"weights are {stored}, activations float32: a smaller file, not integer arithmetic"
    if packed and claim and subject.file.ultralytics:
        evidence += "; Ultralytics calls such a file int8, and one that computes in integers full_integer_quant"
        yield Finding("dynamic-range", NOTE, evidence, WITH_PICTURES)
    elif claim:
        evidence = f"{shown(claim)!r} says quantized, but {multipliers(subject.file)} compute in float32 (weights {stored})"
        yield Finding("not-int8", WARNING, evidence, WITH_PICTURES)
    elif packed:
        yield Finding("dynamic-range", NOTE, evidence, WITH_PICTURES)
    if "float16" in weights:
        evidence = "weights are float16 and become float32 when it is loaded: half the file size, the speed of float32"
        yield Finding("float16-weights", NOTE, evidence, "nothing, if that is what you want")


def _called(subject: Subject) -> list[str]:
    """Texts that may claim a type. Not metadata's name, which is the model's: ssd_v2_quant may have a float variant."""
    metadata = subject.file.metadata
    return [subject.name, subject.file.description, *([metadata.description] if metadata else [])]


RULES = (check_operators, check_classes, check_types)
