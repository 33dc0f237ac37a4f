"""report.json, format 2: every field, its type, and what it says in a student's words.

`docs/report.schema.json` is made from this (tools/report_schema.py), and reports are read into it: there is one list of fields.
Reading passes over fields that it does not know; the schema refuses them, so that a test notices a field without a description.
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
    """What was proven of the source's weights: value by value, not by name."""

    variables: Annotated[int | UnsetType, Meta(description="how many weight tensors were compared")] = UNSET
    values: Annotated[int | UnsetType, Meta(description="how many numbers they hold")] = UNSET
    equal: Annotated[bool | UnsetType, Meta(description="whether each number in the exported model is the source's")] = UNSET
    unused: Annotated[
        int | UnsetType, Meta(description="weights of the source that don't touch its outputs, and were left out")
    ] = UNSET
    largest_difference: Annotated[
        float | UnsetType | None, Meta(description="the largest difference between the source's outputs and the exported model's")
    ] = UNSET
    left_out: Annotated[int | UnsetType, Meta(description="weights of the source that the model was built without, on purpose")] = (
        UNSET
    )
    differing: Annotated[
        list[str] | UnsetType, Meta(description="the first weights that differ; only a finished graph may have such ones")
    ] = UNSET


class Source(Section, frozen=True, kw_only=True):
    """What the model was made from."""

    license: Annotated[str, Meta(description="the model's licence, as an SPDX name")] = ""
    weights: Annotated[Weights, Meta(description="what was proven of the weights")] = Weights()
    overrides: Annotated[
        dict[str, Any], Meta(description="what of the source's own configuration had to be changed for TFLite, old and new value")
    ] = {}


class Contract(Section, frozen=True, kw_only=True):
    """What a program that uses the file has to do with a picture, and what comes out."""

    height: Annotated[int, Meta(description="rows of the picture that goes in")]
    width: Annotated[int, Meta(description="columns of the picture that goes in")]
    mean: Annotated[
        list[float], Meta(min_length=3, max_length=3, description="(pixel - mean) / std goes in: mean of red, green, blue")
    ]
    std: Annotated[
        list[float], Meta(min_length=3, max_length=3, description="(pixel - mean) / std goes in: std of red, green, blue")
    ]
    range: Annotated[list[float], Meta(min_length=2, max_length=2, description="what black and white become by that")]
    resize: Annotated[
        Literal["stretch", "letterbox"], Meta(description="how a picture is made to fit: stretched, or with bars and its own shape")
    ]
    classes: Annotated[int, Meta(description="how many classes it knows; 0 where nothing says it")]
    max_detections: Annotated[int, Meta(description="how many detections come out at most; 0 where it gives plain tensors")]
    outputs: Annotated[
        Literal["postprocess", "raw", "detections", "tensors"],
        Meta(
            description="who makes detections of the network's numbers: one operator, nobody, ordinary operators; or plain tensors"
        ),
    ]
    padding: Annotated[list[float], Meta(description="letterbox only: the colour of the bars")] = []
    postprocess: Annotated[dict[str, Any] | UnsetType, Meta(description="the settings of the PostProcess operator")] = UNSET
    names: Annotated[list[str] | UnsetType, Meta(description="the names of its outputs, in order")] = UNSET
    tf1: Annotated[dict[str, Any] | UnsetType, Meta(description="TF1's graphs only: the names of its ends")] = UNSET
    published_order: Annotated[
        dict[str, int] | UnsetType, Meta(description="a publisher's .tflite only: the place that each output had in it")
    ] = UNSET


class Tensor(Section, frozen=True, kw_only=True):
    """One input or output of the file."""

    name: Annotated[str, Meta(description="by which a program finds it, in the signature")]
    type: Annotated[str, Meta(description="float32, uint8, int8 or int16")]
    shape: Annotated[list[int], Meta(description="its sizes; -1 where only running tells")]
    scale: Annotated[float | None, Meta(description="integers only: (number - zero_point) * scale is what it stands for")] = None
    zero_point: Annotated[int | None, Meta(description="integers only: the number that stands for 0")] = None


class File(Section, frozen=True, kw_only=True):
    """The .tflite file."""

    inputs: Annotated[list[Tensor], Meta(description="what goes in")] = []
    outputs: Annotated[list[Tensor], Meta(description="what comes out, in the order of the file")] = []
    operators: Annotated[dict[str, int], Meta(description="its operators, and how many of each")] = {}
    size: Annotated[int | None, Meta(description="bytes")] = None
    sha256: Annotated[str, Meta(description="hash of detect.tflite: the same hash is the same file")] = ""


class Attempt(Section, frozen=True, kw_only=True):
    """A toolchain that was tried."""

    toolchain: Annotated[str, Meta(description="a folder below toolchains/")]
    outcome: Annotated[str, Meta(description="taken, or why it was refused")]


class Conversion(Section, frozen=True, kw_only=True):
    """Who made the file."""

    toolchain: Annotated[str, Meta(description="the one whose result was taken")] = ""
    tensorflow: Annotated[str, Meta(description="its TensorFlow")] = ""
    attempts: Annotated[list[Attempt], Meta(description="all that were tried, in order")] = []


class Duplicate(Section, frozen=True, kw_only=True):
    """A calibration picture that is a copy of another; it was left out."""

    name: Annotated[str, Meta(description="the picture")]
    same_as: Annotated[str, Meta(description="the picture that it is a copy of")]


class Unreadable(Section, frozen=True, kw_only=True):
    """A calibration picture that can't be read; it was left out."""

    name: Annotated[str, Meta(description="the picture")]
    why: Annotated[str, Meta(description="what is wrong with it")]


class Channel(Section, frozen=True, kw_only=True):
    """What one colour of all calibration pictures was, as the network sees it."""

    min: Annotated[float, Meta(description="the lowest value")]
    max: Annotated[float, Meta(description="the highest value")]
    mean: Annotated[float, Meta(description="the mean of all")]


class Calibration(Section, frozen=True, kw_only=True):
    """The pictures that the integer variants' ranges were measured on."""

    count: Annotated[int, Meta(description="how many were used")] = 0
    seed: Annotated[int | None, Meta(description="decides which were chosen")] = None
    random: Annotated[bool, Meta(description="noise instead of pictures: for trying the tools, not for use")] = False
    duplicates: Annotated[list[Duplicate], Meta(description="copies, left out")] = []
    unreadable: Annotated[list[Unreadable], Meta(description="what can't be read, left out")] = []
    constant: Annotated[list[str], Meta(description="pictures of one colour only")] = []
    channels: Annotated[list[Channel], Meta(description="red, green and blue: they should fill the contract's range")] = []
    warnings: Annotated[list[str], Meta(description="what is wrong with the pictures")] = []


class Check(Section, frozen=True, kw_only=True):
    """One thing that the file was held to."""

    id: Annotated[str, Meta(description="a name for programs, the same in every release")]
    what: Annotated[str, Meta(description="what was looked at")]
    found: Annotated[str, Meta(description="what is there")]
    expected: Annotated[str, Meta(description="what should be there")]
    ok: Annotated[bool, Meta(description="whether it is right")]


class Report(Section, frozen=True, kw_only=True):
    """A bundle's report: what was measured in its build, the limit it was held to, and the verdict.

    A section is absent or empty where it doesn't apply.
    """

    format: Annotated[int, Meta(description="the version of this form: another number, other fields")]
    litekiln: Annotated[str, Meta(description="the litekiln that made the bundle")]
    model: Annotated[str, Meta(description="a folder below models/")]
    variant: Annotated[str, Meta(description="how the numbers are stored: docs/files.md lists the variants")]
    verdict: Annotated[Verdict, Meta(description="whether the file can be used")]
    warnings: Annotated[list[str], Meta(description="what to know before using it")] = []
    source: Annotated[Source, Meta(description="what it was made from")] = Source()
    contract: Annotated[Contract, Meta(description="what a program that uses it has to do")]
    file: Annotated[File, Meta(description="the .tflite file")] = File()
    conversion: Annotated[Conversion, Meta(description="who made the file")] = Conversion()
    calibration: Annotated[Calibration | None, Meta(description="integer variants only: the pictures their ranges come from")] = (
        None
    )
    checks: Annotated[list[Check], Meta(description="what the file was held to, one by one")] = []
    parity: Annotated[Parity | None, Meta(description="how near the file is to its source, picture by picture")] = None
    accuracy: Annotated[Accuracy | None, Meta(description="how right the file is, where there is an evaluation set")] = None
    agreement: Annotated[
        Agreement | None, Meta(description="without an evaluation set: how often it says the same as float32. It is no accuracy")
    ] = None
    suspicion: Annotated[Suspicion | None, Meta(description="where much is lost: the likely mistake, found by trying others")] = (
        None
    )
    errors: Annotated[Errors | None, Meta(description="integer variants only: where in the network the error comes from")] = None
    speed: Annotated[Speed | None, Meta(description="how long one picture takes on the machine that built it")] = None
    xnnpack: Annotated[XnnPack | None, Meta(description="what of the file TFLite's fast path for processors takes")] = None
    edge_tpu: Annotated[EdgeTpu | None, Meta(description="whether Google's Edge TPU could run it")] = None
    examples: Annotated[list[Example], Meta(description="a few pictures, with what the source and the file see in them")] = []
    reproduce: Annotated[str, Meta(description="the command that makes the same bytes again")] = ""
