"""report.json, format 2: every field, its type, and what it means in plain words.

`docs/report.schema.json` is made from these types (tools/report_schema.py), and reports are read into them, so each field has one
place. Reading ignores unknown fields; the schema refuses them, so that a test notices a field without a description.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from litekiln.bundles.report_measures import (
    Accuracy,
    Agreement,
    EdgeTpu,
    Errors,
    Example,
    Parity,
    Section,
    Speed,
    Suspicion,
    XnnPack,
)

FORMAT = 2
Verdict = Literal["ok", "ok, with warnings", "not for use", "over its limit"]


class Weights(Section, frozen=True, kw_only=True):
    """How the model's weights compare with the source's: by value, not by name."""

    variables: Annotated[int | UnsetType, Meta(description="how many weight tensors were compared")] = UNSET
    values: Annotated[int | UnsetType, Meta(description="how many numbers they hold")] = UNSET
    equal: Annotated[bool | UnsetType, Meta(description="whether every number in the exported model equals the source's")] = UNSET
    unused: Annotated[
        int | UnsetType, Meta(description="weights of the source that were left out, because no output uses them")
    ] = UNSET
    largest_difference: Annotated[
        float | UnsetType | None, Meta(description="the largest difference between the source's outputs and the exported model's")
    ] = UNSET
    left_out: Annotated[int | UnsetType, Meta(description="weights of the source that were left out on purpose")] = UNSET
    differing: Annotated[
        list[str] | UnsetType, Meta(description="the first weights that differ; only a finished graph may have any")
    ] = UNSET


class Source(Section, frozen=True, kw_only=True):
    """What the model was made from."""

    license: Annotated[str, Meta(description="the model's licence, as an SPDX name")] = ""
    weights: Annotated[Weights, Meta(description="how the weights compare with the source's")] = Weights()
    overrides: Annotated[
        dict[str, Any], Meta(description="settings of the source that were changed for TFLite, with old and new value")
    ] = {}


class Contract(Section, frozen=True, kw_only=True):
    """How a program must prepare a picture for the file, and what the file returns."""

    height: Annotated[int, Meta(description="rows of the input picture")]
    width: Annotated[int, Meta(description="columns of the input picture")]
    mean: Annotated[
        list[float], Meta(min_length=3, max_length=3, description="the input is (pixel - mean) / std: mean for red, green, blue")
    ]
    std: Annotated[
        list[float], Meta(min_length=3, max_length=3, description="the input is (pixel - mean) / std: std for red, green, blue")
    ]
    pixels: Annotated[
        Literal["measured", "told"] | UnsetType,
        Meta(description="where mean and std come from: measured on the source's own code, or told by the recipe or the file"),
    ] = UNSET
    range: Annotated[list[float], Meta(min_length=2, max_length=2, description="the input values of black and white")]
    resize: Annotated[
        Literal["stretch", "letterbox"],
        Meta(description="how a picture is resized: stretched, or in its own proportions with bars"),
    ]
    classes: Annotated[int, Meta(description="how many classes it detects; 0 if unknown")]
    max_detections: Annotated[int, Meta(description="the most detections that it returns; 0 if it returns plain tensors")]
    outputs: Annotated[
        Literal["postprocess", "raw", "detections", "tensors"],
        Meta(
            description="what makes the detections: one operator, the calling program (raw), ordinary operators; or plain tensors"
        ),
    ]
    padding: Annotated[list[float], Meta(description="letterbox only: the colour of the bars")] = []
    postprocess: Annotated[dict[str, Any] | UnsetType, Meta(description="the settings of the PostProcess operator")] = UNSET
    names: Annotated[list[str] | UnsetType, Meta(description="the names of its outputs, in order")] = UNSET
    tf1: Annotated[dict[str, Any] | UnsetType, Meta(description="TF1 graphs only: the names of its input and outputs")] = UNSET
    published_order: Annotated[
        dict[str, int] | UnsetType, Meta(description="a published .tflite only: the original position of each output")
    ] = UNSET


class Tensor(Section, frozen=True, kw_only=True):
    """One input or output of the file."""

    name: Annotated[str, Meta(description="its name in the signature, by which programs find it")]
    type: Annotated[str, Meta(description="float32, uint8, int8 or int16")]
    shape: Annotated[list[int], Meta(description="its dimensions; -1 if known only at run time")]
    scale: Annotated[float | None, Meta(description="integers only: the real value is (number - zero_point) * scale")] = None
    zero_point: Annotated[int | None, Meta(description="integers only: the number that stands for 0")] = None


class File(Section, frozen=True, kw_only=True):
    """The .tflite file."""

    inputs: Annotated[list[Tensor], Meta(description="what goes in")] = []
    outputs: Annotated[list[Tensor], Meta(description="what comes out, in the order of the file")] = []
    operators: Annotated[dict[str, int], Meta(description="its operators, and how many of each")] = {}
    size: Annotated[int | None, Meta(description="bytes")] = None
    sha256: Annotated[str, Meta(description="hash of detect.tflite: equal hashes mean equal files")] = ""


class Attempt(Section, frozen=True, kw_only=True):
    """A toolchain that was tried."""

    toolchain: Annotated[str, Meta(description="a folder below toolchains/")]
    outcome: Annotated[str, Meta(description="taken, or why it was refused")]


class Conversion(Section, frozen=True, kw_only=True):
    """What made the file."""

    toolchain: Annotated[str, Meta(description="the toolchain whose result was taken")] = ""
    tensorflow: Annotated[str, Meta(description="its TensorFlow version")] = ""
    attempts: Annotated[list[Attempt], Meta(description="all toolchains that were tried, in order")] = []
    inexact: Annotated[
        list[str] | UnsetType, Meta(description="operators whose numbers depend on the processor, and the file's bytes with them")
    ] = UNSET
    processor: Annotated[
        str | UnsetType, Meta(description="the kind of processor that made the file, if its bytes depend on that")
    ] = UNSET


class Duplicate(Section, frozen=True, kw_only=True):
    """A calibration picture that is a copy of another; it was left out."""

    name: Annotated[str, Meta(description="the picture")]
    same_as: Annotated[str, Meta(description="the picture that it is a copy of")]


class Unreadable(Section, frozen=True, kw_only=True):
    """A calibration picture that can't be read; it was left out."""

    name: Annotated[str, Meta(description="the picture")]
    why: Annotated[str, Meta(description="what is wrong with it")]


class Channel(Section, frozen=True, kw_only=True):
    """The values of one colour in all calibration pictures, as the network sees them."""

    min: Annotated[float, Meta(description="the lowest value")]
    max: Annotated[float, Meta(description="the highest value")]
    mean: Annotated[float, Meta(description="the mean value")]


class Calibration(Section, frozen=True, kw_only=True):
    """The pictures on which the integer variants' ranges were measured."""

    count: Annotated[int, Meta(description="how many were used")] = 0
    seed: Annotated[int | None, Meta(description="the seed that chose them")] = None
    random: Annotated[bool, Meta(description="noise instead of pictures: for trying the tools, not for use")] = False
    duplicates: Annotated[list[Duplicate], Meta(description="copies, left out")] = []
    unreadable: Annotated[list[Unreadable], Meta(description="pictures that can't be read, left out")] = []
    constant: Annotated[list[str], Meta(description="pictures of one colour only, or nearly")] = []
    noise: Annotated[list[str], Meta(description="pictures that are noise: pixels beside each other have nothing in common")] = []
    channels: Annotated[list[Channel], Meta(description="red, green and blue: they should fill the contract's range")] = []
    warnings: Annotated[list[str], Meta(description="what is wrong with the pictures")] = []


class Check(Section, frozen=True, kw_only=True):
    """One check of the file."""

    id: Annotated[str, Meta(description="a name for programs, the same in every release")]
    what: Annotated[str, Meta(description="what was checked")]
    found: Annotated[str, Meta(description="what was found")]
    expected: Annotated[str, Meta(description="what was expected")]
    ok: Annotated[bool, Meta(description="whether the check passed")]


class Report(Section, frozen=True, kw_only=True):
    """A bundle's report: the measurements of its build, their limits, and the verdict.

    A section is absent or empty where it doesn't apply.
    """

    format: Annotated[int, Meta(description="the version of this format; a change of a field's meaning raises it")]
    litekiln: Annotated[str, Meta(description="the version of litekiln that made the bundle")]
    model: Annotated[str, Meta(description="a folder below models/")]
    variant: Annotated[str, Meta(description="how the numbers are stored: docs/files.md lists the variants")]
    verdict: Annotated[Verdict, Meta(description="whether the file can be used")]
    warnings: Annotated[list[str], Meta(description="what to know before using it")] = []
    source: Annotated[Source, Meta(description="what it was made from")] = Source()
    contract: Annotated[Contract, Meta(description="how a program must use it")]
    file: Annotated[File, Meta(description="the .tflite file")] = File()
    conversion: Annotated[Conversion, Meta(description="what made the file")] = Conversion()
    calibration: Annotated[Calibration | None, Meta(description="integer variants only: the pictures their ranges come from")] = (
        None
    )
    checks: Annotated[list[Check], Meta(description="the checks of the file, one by one")] = []
    parity: Annotated[Parity | None, Meta(description="how close the file is to its source on the same pictures")] = None
    accuracy: Annotated[Accuracy | None, Meta(description="how accurate the file is, if there is an evaluation set")] = None
    agreement: Annotated[
        Agreement | None, Meta(description="without an evaluation set: how often it agrees with float32. This is not accuracy")
    ] = None
    suspicion: Annotated[
        Suspicion | None, Meta(description="if much is lost: the likely mistake, found by trying other settings")
    ] = None
    errors: Annotated[Errors | None, Meta(description="integer variants only: where in the network the error comes from")] = None
    speed: Annotated[Speed | None, Meta(description="how long one picture takes on the machine that built it")] = None
    xnnpack: Annotated[XnnPack | None, Meta(description="which operators TFLite's fast path for CPUs runs")] = None
    edge_tpu: Annotated[EdgeTpu | None, Meta(description="whether Google's Edge TPU could run it")] = None
    examples: Annotated[list[Example], Meta(description="a few pictures, with what the source and the file detect in them")] = []
    reproduce: Annotated[str, Meta(description="the command that makes the same bytes again")] = ""
