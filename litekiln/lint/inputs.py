"""Rules for the input: one RGB picture of fixed size, with the pixels that the network was trained with."""

from collections.abc import Iterator

from litekiln.formats.tflite import Tensor
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.outputs import CONVERT
from litekiln.lint.pixels import IMAGENET, RESNET, SIGNED, UNIT, WHOLE, Pixels
from litekiln.lint.subject import LIMITS, Kind, Subject
from litekiln.wording import shown

# Pixels of the Object Detection API's networks: most of them; EfficientDet; ResNet; those that normalise in the graph.
TAKEN = (SIGNED, IMAGENET, RESNET, WHOLE)
SURE = ((SIGNED, (127.5, 127.5)), (WHOLE, (0.0, 1.0)))  # with their mean and std
FORMULAS = {UNIT: "pixel / 255", SIGNED: "(pixel - 127.5) / 127.5", WHOLE: "the pixels as they are"}
KNOWN = {
    UNIT: "",
    SIGNED: "",
    IMAGENET: ", as ImageNet's mean and std make them",
    RESNET: ", as ImageNet's mean makes them",
    WHOLE: "",
}
CODES = 256  # of 8 bits
FEW = 200  # codes: a network that uses no more of them loses accuracy


def check_inputs(subject: Subject) -> Iterator[Finding]:
    file, entry = subject.file, subject.entry
    if subject.detector and entry is None:
        names = ", ".join(shown(file.tensors[each].name) for each in file.inputs[:6]) or "none"
        yield Finding("several-inputs", ERROR, f"{len(file.inputs)} inputs ({names}), but a detector takes one picture", CONVERT)
    if entry is None:
        return
    if len(entry.shape) == 4 and entry.shape[3] == 1:
        yield from _grey(subject, entry)
    elif subject.detector and (len(entry.shape) != 4 or entry.shape[3] != 3):
        first = ": channels first, as PyTorch has them" if len(entry.shape) == 4 and entry.shape[1] == 3 else ""
        evidence = f"it takes {list(entry.shape)}, expected [1, height, width, 3]{first}"
        yield Finding(
            "input-shape", WARNING, evidence, "feed it in this form, which programs for detectors don't do; or convert it again"
        )
    if len(entry.shape) == 4 and entry.shape[0] > 1:
        evidence = f"it takes {list(entry.shape)}: {entry.shape[0]} pictures at once"
        yield Finding("batch-size", WARNING, evidence, "convert it again with a batch of one: a camera gives one picture at a time")


def _grey(subject: Subject, entry: Tensor) -> Iterator[Finding]:
    evidence = f"it takes {list(entry.shape)}: one channel, so grey pictures"
    if subject.detector:
        remedy = "turn pictures grey before you feed them, which programs for detectors don't do; or train it on RGB pictures"
        yield Finding("input-shape", WARNING, evidence, remedy)
    else:
        yield Finding("input-shape", NOTE, evidence, "turn pictures grey before you feed them")


def check_sizes(subject: Subject) -> Iterator[Finding]:
    file = subject.file
    ends = [("input", each) for each in file.inputs] + [("output", each) for each in file.outputs]
    opened = [(end, file.tensors[each]) for end, each in ends if file.tensors[each].is_open]
    if not opened:
        return
    end, tensor = opened[0]
    more = f", and {len(opened) - 1} more" if len(opened) > 1 else ""
    evidence = f"{end} {shown(tensor.name)} has shape {list(tensor.sizes)}{more}"
    if end == "input" and all(min(each.sizes[1:], default=-1) >= 0 for _, each in opened):
        evidence += ": only the number of pictures is open, which is 1 unless a program asks for more"
        yield Finding("dynamic-shapes", NOTE, evidence, "nothing, if you run one picture at a time")
        return
    remedy = "convert it again with a fixed input size: programs that ask for the size before running it get a wrong one"
    yield Finding("dynamic-shapes", WARNING, evidence, remedy)


def check_range(subject: Subject) -> Iterator[Finding]:
    """The range that the quantization covers, against the one that such networks are trained with."""
    found, (name, takes) = subject.quantized, taken_by(subject)
    if found is None or not takes:
        return
    tensor, pixels = found
    if any(pixels.agrees(taken) for taken in takes):
        return
    scale = f"{tensor.dtype}, scale {tensor.scale:.6f} at zero point {tensor.zero_point}: pixels from {pixels}"
    known = next((each for each in KNOWN if not pixels.symmetric and pixels.agrees(each)), None)
    sure = known == UNIT if subject.ssd else known is not None and (known == IMAGENET or subject.told)
    if sure and known:
        evidence = f"{scale}{KNOWN[known]}; {name} is trained with {takes[0]}{_codes(tensor, takes[0])}"
        yield Finding("input-range", ERROR, evidence, _calibrate(name, takes[0]))
    else:
        evidence = f"{scale}; networks like this one take {', '.join(map(str, takes))}"
        yield Finding("input-range-odd", WARNING, evidence, _calibrate(name, takes[0]))


def taken_by(subject: Subject) -> tuple[str, tuple[Pixels, ...]]:
    """What the network is called, and the pixels that such networks take; none if they differ too much, or it is unknown."""
    if not subject.ssd:
        return (subject.family.name, subject.family.takes) if subject.family else ("", ())
    # EfficientDet's box coder has scales of 1, the other networks' has 10 and 5.
    others = subject.kind is Kind.POSTPROCESS and (subject.options.get("y_scale") or 1) > 1
    return "an SSD", tuple(each for each in TAKEN if each != IMAGENET) if others else TAKEN


def _codes(tensor: Tensor, taken: Pixels) -> str:
    """How many codes are used, if they are few."""
    lowest, highest = LIMITS[tensor.dtype]
    ends = [min(highest, max(lowest, round(end / (tensor.scale or 1)) + tensor.zero_point)) for end in (taken.low, taken.high)]
    used = ends[1] - ends[0] + 1
    return f", which uses {used} of {CODES} codes" if used < FEW and highest - lowest < CODES else ""


def _calibrate(name: str, taken: Pixels) -> str:
    return (
        f"convert it again and calibrate with the pixels that the network takes, {FORMULAS[taken]} for {name}; "
        "it can't be repaired without its source"
    )


def pixels_by_scale(subject: Subject) -> tuple[float, float] | None:
    """Mean and std, if the input's scale leaves no doubt."""
    if subject.quantized is None or subject.quantized[1].symmetric:
        return None
    pixels = subject.quantized[1]
    return next((mean_and_std for taken, mean_and_std in SURE if pixels.agrees(taken)), None)


RULES = (check_inputs, check_sizes, check_range)
