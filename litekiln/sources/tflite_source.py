"""Read finished .tflite files without a library: their inputs and outputs, and their variant."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.tflite import FLEX, TfliteFile, arithmetic, begins_as_tflite, open_tflite
from litekiln.formats.tflite import Tensor as Stored
from litekiln.sources.damage import reading
from litekiln.sources.graph_operators import refuse
from litekiln.sources.operators import Use, any_group_of
from litekiln.sources.picture_input import Tensor, fixed_picture
from litekiln.variants import FLOAT, VARIANTS, Variant

SMALLEST_FIRST = ("int8", "float16", "float32")  # weights of a file that computes in float
CONVERT_AGAIN = "convert it again from the model that it was made from: a checkpoint, a SavedModel or a Keras file"


@dataclass(frozen=True)
class TfliteModel:
    """What a .tflite says about itself."""

    height: int
    width: int
    input_type: str
    outputs: list[Tensor]
    postprocess: bool
    variant: str
    classes: int  # 0 if no PostProcess operator says it
    max_detections: int  # the same


def is_tflite(path: Path) -> bool:
    with path.open("rb") as stream:
        return begins_as_tflite(stream)


def read_tflite(path: Path) -> TfliteModel:
    with reading(path, "a .tflite", "copy or download it again"):
        file = open_tflite(path)
        refuse(path, _forbidden(file))
        return describe(path, file)


def refuse_actions(path: Path) -> None:
    """Refuse a .tflite that does more than compute. Nothing else is asked of it."""
    with reading(path, "a .tflite", "copy or download it again"):
        refuse(path, _forbidden(open_tflite(path)))


def _forbidden(file: TfliteFile) -> Iterator[Use]:
    """TensorFlow's own operators (Flex) that no model may have: TensorFlow's interpreter runs them."""
    for operator in filter(lambda name: name.startswith(FLEX), file.custom):
        if group := any_group_of(operator):
            yield Use(operator, "a custom operator", group.can)


def describe(path: Path, file: TfliteFile) -> TfliteModel:
    """What a recipe needs to know about a .tflite. One that can't be a source is a SourceError."""
    inputs, outputs = ([_as_tensor(file.tensors[each]) for each in ends] for ends in (file.inputs, file.outputs))
    takes = f"{path} takes {', '.join(map(str, inputs)) or 'nothing'}"
    if len(inputs) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="the model has several inputs, or none", remedy=CONVERT_AGAIN)
    entry = inputs[0]
    if entry.dtype not in ("float32", "uint8", "int8"):
        raise SourceError(f"{takes}: expected float32, uint8 or int8 pixels", remedy=CONVERT_AGAIN)
    height, width = fixed_picture(Tensor(entry.name, "float32", entry.shape), takes, CONVERT_AGAIN)
    variant = _variant(path, entry.dtype, {each.dtype for each in outputs}, arithmetic(file))
    options = next((operator.options for operator in file.postprocess), {})
    stated = (options.get(name, 0) for name in ("num_classes", "max_detections"))
    classes, most = (count if isinstance(count, int) else 0 for count in stated)
    return TfliteModel(height, width, entry.dtype, outputs, bool(file.postprocess), variant, classes, most)


def _as_tensor(tensor: Stored) -> Tensor:
    """With the shape that the file states: the other one has a 1 where a size is open."""
    return Tensor(tensor.name, tensor.dtype, tensor.stated)


def _variant(path: Path, entry: str, outputs: set[str], types: set[tuple[str, str]]) -> str:
    """The first variant with these types, inside and at both ends."""
    fitting = [row for row in VARIANTS if _computes(row, types)]
    exact = [row for row in fitting if entry == row.entry and outputs == {row.result}]
    floats = [row for row in fitting if not row.integer and entry == row.entry]
    # TF1's quantized models and 16 bits are recognised by their inside: the publisher chose the types of their ends.
    inside = [row for row in fitting if row.integer and not row.keeps_float]
    loose = [row for row in inside if outputs == {row.result}] or inside[-1:]
    if found := [*exact, *floats, *loose]:
        return found[0].name
    shown = ", ".join(sorted("/".join(each) for each in types))
    ends = f"{entry} in, {' and '.join(sorted(outputs)) or 'nothing'} out"
    cause = f"it has {ends}; {f'its convolutions compute with {shown}' if shown else 'nothing in it is a convolution'}"
    raise SourceError(f"{path} is of an unknown variant", cause=cause, remedy=CONVERT_AGAIN)


def _computes(row: Variant, types: set[tuple[str, str]]) -> bool:
    """Whether its convolutions have the variant's types. In a float file the smallest weights decide."""
    entries, weights = {entry for entry, _ in types}, {held for _, held in types}
    if entries != {row.computes[0][0]}:
        return False
    return row.integer or next((each for each in SMALLEST_FIRST if each in weights), FLOAT[1]) == row.computes[0][1]
