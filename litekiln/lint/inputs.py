"""Rules for the input: one RGB picture of fixed size, with the pixels that the network was trained with."""

from collections.abc import Iterator

from litekiln.formats.tflite import Tensor
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.outputs import CONVERT
from litekiln.lint.subject import Pixels, Subject
from litekiln.wording import shown

ZERO_TO_ONE = Pixels(0.0, 1.0)
SSD = Pixels(-1.0, 1.0)
# Pixels of the Object Detection API's networks: most of them; EfficientDet; ResNet; those that normalise in the graph.
TAKEN = (SSD, Pixels(-2.118, 2.640), Pixels(-123.68, 151.061), Pixels(0.0, 255.0))
SURE = ((SSD, (127.5, 127.5)), (Pixels(0.0, 255.0), (0.0, 1.0)))  # with their mean and std
CALIBRATE = (
    "convert it again and calibrate with the pixels that the network takes, (pixel - 127.5) / 127.5 for an SSD; "
    "it can't be repaired without its source"
)


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
    found = subject.quantized
    if not subject.ssd or found is None:
        return
    tensor, pixels = found
    scale = f"{tensor.dtype}, scale {tensor.scale:.6f} at zero point {tensor.zero_point}: pixels from {pixels}"
    if not pixels.symmetric and pixels.agrees(ZERO_TO_ONE):
        yield Finding("input-range", ERROR, f"{scale}; an SSD is trained with {SSD}", CALIBRATE)
    elif not any(pixels.agrees(taken) for taken in TAKEN):
        evidence = f"{scale}; networks like this one take {', '.join(map(str, TAKEN))}"
        yield Finding("input-range-odd", WARNING, evidence, CALIBRATE)


def pixels_by_scale(subject: Subject) -> tuple[float, float] | None:
    """Mean and std, if the input's scale leaves no doubt."""
    if subject.quantized is None or subject.quantized[1].symmetric:
        return None
    pixels = subject.quantized[1]
    return next((mean_and_std for taken, mean_and_std in SURE if pixels.agrees(taken)), None)


RULES = (check_inputs, check_sizes, check_range)
