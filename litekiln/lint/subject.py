"""A linted file and the meaning of its facts: whether it is a detector at all, and what each of its outputs is."""

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

from litekiln.formats.tflite import ADD, DETECTION_OUTPUTS, DIV, MUL, QUANTIZE, RAW_OUTPUTS, SUB, Operator, Tensor, TfliteFile
from litekiln.lint.family import Family, family_of
from litekiln.lint.pixels import Pixels

KNOWN = {
    "boxes": ("boxes", "box", "locations", "location", "detection_boxes", "bounding_boxes"),
    "classes": ("classes", "class", "categories", "category", "detection_classes"),
    "scores": ("scores", "score", "detection_scores"),
    "count": ("count", "number_of_detections", "num_detections", "num_boxes", "number_of_boxes"),
}
LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32767, 32767)}
STEPS = 6  # operators after the input that may normalise pixels


class Kind(Enum):
    """What makes the detections: the PostProcess operator, ordinary operators, or the caller's program. PLAIN is no detector."""

    POSTPROCESS = "postprocess"
    DETECTIONS = "detections"
    UNNAMED = "unnamed"  # ordinary operators, but nothing says which output is what
    RAW = "raw"
    PLAIN = "plain"


@dataclass(frozen=True)
class LabelFile:
    """A label file. `where` names it in messages; `packed` means inside the .tflite, `given` that the user named it."""

    where: str
    lines: list[str]
    packed: bool
    given: bool = False


@dataclass(frozen=True)
class Subject:
    path: Path
    file: TfliteFile
    labels: list[LabelFile] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def detector(self) -> bool:
        return self.kind is not Kind.PLAIN

    @property
    def detects(self) -> bool:
        """Whether its outputs are finished detections."""
        return self.kind in (Kind.POSTPROCESS, Kind.DETECTIONS)

    @cached_property
    def family(self) -> Family | None:
        """What the network is, if it is no detector with the outputs of one."""
        return family_of(self.file) if self.kind is Kind.PLAIN else None

    @property
    def repairable(self) -> bool:
        """Whether --fix can write it anew: finished detections, made from one picture."""
        return self.detects and not self.lacks_ports and self.entry is not None and len(self.entry.shape) == 4

    @property
    def ssd(self) -> bool:
        """Whether it is made like the Object Detection API's models, so that its pixels are known."""
        return self.kind in (Kind.POSTPROCESS, Kind.RAW)

    @cached_property
    def kind(self) -> Kind:
        file = self.file
        if file.postprocess:
            return Kind.POSTPROCESS
        if set(RAW_OUTPUTS) <= set(signature_names(file)) | set(_tensor_names(file)):
            return Kind.RAW
        if sorted(self.meanings) == sorted(DETECTION_OUTPUTS):
            return Kind.DETECTIONS
        return Kind.UNNAMED if _shaped_as_detections(file) else Kind.PLAIN

    @cached_property
    def meanings(self) -> list[str]:
        """The meaning of each output; "" if unknown."""
        file = self.file
        if file.postprocess:
            ports = dict(zip(file.postprocess[0].outputs, DETECTION_OUTPUTS, strict=False))
            return [ports.get(output, "") for output in file.outputs]
        by_metadata = [notes.name for notes in file.metadata.outputs] if file.metadata else []
        for names in (signature_names(file), by_metadata, _tensor_names(file)):
            found = meanings_of(names)
            if sorted(found) == sorted(DETECTION_OUTPUTS) and len(found) == len(file.outputs):
                return found
        return [""] * len(file.outputs)

    @property
    def lacks_ports(self) -> bool:
        """Whether the outputs are not four different tensors, each with its meaning."""
        return sorted(self.meanings) != sorted(DETECTION_OUTPUTS) or len(set(self.file.outputs)) != len(DETECTION_OUTPUTS)

    @property
    def by_meaning(self) -> list[int]:
        """The outputs' tensors in the order of DETECTION_OUTPUTS; only if all meanings are known."""
        return [self.file.outputs[self.meanings.index(meaning)] for meaning in DETECTION_OUTPUTS]

    @property
    def told(self) -> bool:
        """Whether the file itself says of which family it is."""
        return self.family is not None and self.family.told

    @property
    def options(self) -> dict[str, int | float]:
        """The options of the PostProcess operator; none if there is no such operator."""
        return self.file.postprocess[0].options if self.file.postprocess else {}

    def option(self, name: str) -> int | None:
        """An integer option of the PostProcess operator."""
        value = self.options.get(name)
        return value if isinstance(value, int) else None

    @cached_property
    def classes(self) -> int:
        """The number of classes without the background; 0 if the graph doesn't say."""
        if self.file.postprocess:
            return self.option("num_classes") or 0
        if self.kind is Kind.RAW:
            shape = self.file.tensors[self.raw[RAW_OUTPUTS[1]]].shape
            return max(0, shape[-1] - 1) if shape else 0
        return self.family.classes if self.family else 0

    @property
    def raw(self) -> dict[str, int]:
        """The tensors of the outputs of a file without the PostProcess operator, by name."""
        names = signature_names(self.file) if RAW_OUTPUTS[1] in signature_names(self.file) else _tensor_names(self.file)
        return dict(zip(names, self.file.outputs, strict=False))

    @cached_property
    def entry(self) -> Tensor | None:
        return self.file.tensors[self.file.inputs[0]] if len(self.file.inputs) == 1 else None

    @cached_property
    def quantized(self) -> tuple[Tensor, Pixels] | None:
        """The picture's first integer form, the input or a QUANTIZE's output; and the pixels that it stands for."""
        if self.entry is None:
            return None
        found = [self.entry]
        if self.entry.dtype == "float32":
            quantizing = [op for op in self.file.operators if op.kind == QUANTIZE and op.inputs[:1] == self.file.inputs]
            found = [self.file.tensors[op.outputs[0]] for op in quantizing if op.gives_first]
        for tensor in found[:1]:
            if tensor.dtype in LIMITS and tensor.scale and math.isfinite(tensor.scale) and tensor.scale > 0:
                low, high = ((limit - tensor.zero_point) * tensor.scale for limit in LIMITS[tensor.dtype])
                return tensor, Pixels(low, high, symmetric=tensor.dtype == "int16")
        return None

    @cached_property
    def inside(self) -> Pixels | None:
        """The range into which the graph's first operators turn pixels from 0 to 255; None if they don't normalise."""
        if self.entry is None or self.entry.dtype != "float32":
            return None
        factor, shift, tensor = 1.0, 0.0, self.file.inputs[0]
        for _ in range(STEPS):
            taken = [operator for operator in self.file.operators if tensor in operator.inputs[:2]]
            step = _affine(self.file, taken[0], tensor) if len(taken) == 1 else None
            if step is None:
                break
            factor, shift, tensor = factor * step[0], shift * step[0] + step[1], taken[0].outputs[0]
        return None if (factor, shift) == (1.0, 0.0) else Pixels(min(shift, 255 * factor + shift), max(shift, 255 * factor + shift))


def _affine(file: TfliteFile, operator: Operator, tensor: int) -> tuple[float, float] | None:
    """The factor and the summand of an operator with a constant; None for others."""
    if operator.kind not in (ADD, MUL, SUB, DIV) or len(operator.inputs) != 2 or not operator.gives_first:
        return None
    other = operator.inputs[1] if operator.inputs[0] == tensor else operator.inputs[0]
    if other < 0 or file.tensors[other].dtype != "float32":
        return None
    values = file.floats(other)
    if not values or len(values) > 3 or not all(map(math.isfinite, values)):
        return None
    value = sum(values) / len(values)
    if operator.kind in (SUB, DIV) and operator.inputs[0] != tensor:
        return (-1.0, value) if operator.kind == SUB else None
    if operator.kind == DIV:
        return (1 / value, 0.0) if value else None
    return {ADD: (1.0, value), SUB: (1.0, -value), MUL: (value, 0.0)}[operator.number]


def signature_names(file: TfliteFile) -> list[str]:
    """The outputs' names in the main graph's signature, in the outputs' order."""
    for signature in file.signatures:
        if signature.graph == 0:
            named = {tensor: name for name, tensor in signature.outputs}
            return [named.get(output, "") for output in file.outputs]
    return []


def _tensor_names(file: TfliteFile) -> list[str]:
    return [file.tensors[output].name.rpartition("/")[2] for output in file.outputs]


def meanings_of(names: list[str]) -> list[str]:
    """The meaning of each name, however it is written; "" if it has none."""
    plain = [re.sub(r"[\s\-]+", "_", re.sub(r":\d+$", "", name[:200].rpartition("/")[2]).strip().lower()) for name in names]
    return [next((meaning for meaning, words in KNOWN.items() if name in words), "") for name in plain]


def _shaped_as_detections(file: TfliteFile) -> bool:
    """Whether the outputs are boxes of four sides, two lists of the same length, and one number."""
    shapes = sorted((file.tensors[output].shape for output in file.outputs), key=len)
    if len(shapes) != 4 or len(shapes[3]) != 3 or shapes[3][2] != 4:
        return False
    return shapes[1] == shapes[2] == shapes[3][:2] and shapes[0] in ((), (1,))
