"""The measured sections of report.json. See report_format.py, which holds the whole."""

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

Share = Annotated[float, Meta(ge=0, le=1)]
T = TypeVar("T")


class Section(Struct, frozen=True):
    """A part of a report. Fields without a default must be there when the part is.

    A field that builds leave out where there is nothing to say is UNSET then, so that the file is written as it was read. Other
    defaults are for reports of older litekilns: today's builds always write these fields.
    """


def given(value: T | UnsetType | None) -> T | None:
    """A field's value; None where the report leaves it out."""
    return None if value is UNSET else value


class RawOutput(Section, frozen=True, kw_only=True):
    """One output of the network, before detections are made of it: the file's against the source's."""

    name: Annotated[str, Meta(description="which output")]
    max: Annotated[float, Meta(description="the largest difference of any number")]
    mean: Annotated[float, Meta(description="the mean difference")]
    largest: Annotated[
        float, Meta(description="the largest number of the source's output: what the difference has to be seen against")
    ]
    relative: Annotated[float, Meta(description="max / largest")]
    relative_mean: Annotated[float | None, Meta(description="the mean difference in the mean size of the source's numbers")] = None
    limit: Annotated[float | UnsetType | None, Meta(description="what relative may be; null where it is only told")] = UNSET
    mean_limit: Annotated[
        float | UnsetType | None, Meta(description="what relative_mean may be; only where no detections say more")
    ] = UNSET
    ok: Annotated[bool | UnsetType, Meta(description="whether it is within its limit")] = UNSET


class ScoreDifference(Section, frozen=True, kw_only=True):
    """How far the scores of matched detections are apart."""

    max: Annotated[float, Meta(description="the largest")]
    mean: Annotated[float, Meta(description="the mean")]


class Matched(Section, frozen=True, kw_only=True):
    """Detections of the source that the file finds as well: same class, same place."""

    source: Annotated[int, Meta(description="how many the source finds")]
    matched: Annotated[int, Meta(description="how many of these the file finds")]
    extra: Annotated[int, Meta(description="how many detections the file makes beside these")] = 0
    share: Annotated[Share, Meta(description="of all that either finds, what both find: matched / (source + extra)")]
    iou: Annotated[float, Meta(description="how far two boxes must cover each other to count as the same place; 1 is exactly")]
    limit: Annotated[float | UnsetType | None, Meta(description="the least share allowed; null where it is only told")] = UNSET
    score: Annotated[float, Meta(description="detections under this score are not counted")] = 0.0
    score_difference: Annotated[ScoreDifference | None, Meta(description="of the matched ones; null where there are none")] = None
    ok: Annotated[bool | UnsetType, Meta(description="whether the share is within its limit")] = UNSET


class Parity(Section, frozen=True, kw_only=True):
    """The file beside its source, on the same pictures. Nobody has to know what is right for it."""

    against: Annotated[str, Meta(description="what the source was, and what ran it")]
    set: Annotated[str, Meta(description="the picture set below calib/, or the folder")] = ""
    pictures: Annotated[int, Meta(description="how many pictures")] = 0
    raw_pictures: Annotated[
        int | None, Meta(description="on how many of these the outputs themselves were compared; null: not recorded")
    ] = None
    raw: Annotated[list[RawOutput], Meta(description="the network's outputs, one by one")] = []
    detections: Annotated[
        Matched | UnsetType | None,
        Meta(description="the detections that the file's rules make of either's outputs; null where it makes none"),
    ] = UNSET
    own_detections: Annotated[
        Matched | UnsetType | None,
        Meta(description="the same beside detections that the source chooses by rules of its own, where it has other ones"),
    ] = UNSET


class Protocol(Section, frozen=True, kw_only=True):
    """How the mAP was measured: two numbers compare only where these are the same."""

    pictures: Annotated[int, Meta(description="how many pictures")]
    height: Annotated[int, Meta(description="to which height they were resized")]
    width: Annotated[int, Meta(description="to which width they were resized")]
    resize: Annotated[str, Meta(description="stretch or letterbox")]
    max_detections: Annotated[int, Meta(description="detections per picture")]
    score_threshold: Annotated[float, Meta(description="detections under this score are not counted")]
    tool: Annotated[str, Meta(description="what computed it")]


class Accuracy(Section, frozen=True, kw_only=True):
    """How right the file is, on pictures of which the right answer is known."""

    map: Annotated[Share, Meta(description="mAP@[.5:.95]: mean over classes and over how exact a box has to be; 1 is perfect")]
    map_50: Annotated[Share | None, Meta(description="mAP@.5: the same, where a box only has to cover half")] = None
    reference_map: Annotated[
        Share | UnsetType | None, Meta(description="what float32 has on the same pictures; null where it was not built")
    ] = UNSET
    drop_points: Annotated[float | UnsetType | None, Meta(description="how many hundredths of mAP it lost against float32")] = UNSET
    warn_points: Annotated[float | UnsetType | None, Meta(description="a loss over this is a warning")] = UNSET
    limit_points: Annotated[float | UnsetType | None, Meta(description="a loss over this is too much")] = UNSET
    within_limit: Annotated[bool | UnsetType, Meta(description="whether the loss is within its limit")] = UNSET
    protocol: Annotated[Protocol | None, Meta(description="how it was measured")] = None
    per_class: Annotated[dict[str, float | None], Meta(description="mAP of each class; null where no picture has one")] = {}


class Agreement(Section, frozen=True, kw_only=True, rename={"with_": "with"}):
    """How often the file says the same as float32. Both may be wrong together: this is no accuracy."""

    with_: Annotated[str, Meta(description="the variant that it is compared with")] = "float32"
    set: Annotated[str, Meta(description="the picture set below calib/, or the folder")] = ""
    pictures: Annotated[int, Meta(description="how many pictures")] = 0
    detections: Annotated[int, Meta(description="how many detections float32 makes")] = 0
    matched: Annotated[int, Meta(description="how many of these the file makes too")] = 0
    extra: Annotated[int, Meta(description="how many detections the file makes beside these")] = 0
    share: Annotated[Share, Meta(description="of all that either finds, what both find: matched / (detections + extra)")]
    iou: Annotated[float, Meta(description="how far two boxes must cover each other to count as the same place")] = 0.5
    score: Annotated[float, Meta(description="detections under this score are not counted")] = 0.0
    score_difference: Annotated[ScoreDifference | None, Meta(description="of the matched ones; null where there are none")] = None
    limit: Annotated[float | None, Meta(description="the least share allowed; null where it is only told")] = None
    ok: Annotated[bool, Meta(description="whether the share is within its limit")] = True


class Tried(Section, frozen=True, kw_only=True):
    """One possible mistake that was tried out."""

    what: Annotated[str, Meta(description="what was done otherwise")]
    score: Annotated[Share, Meta(description="what it has with it, by the measure named below")]


class Suspicion(Section, frozen=True, kw_only=True):
    """Much is lost, and a wrong setting may be why: the file was measured again with other settings."""

    now: Annotated[Share, Meta(description="what it has as it is, on the pictures that were tried")]
    measure: Annotated[str, Meta(description="what was measured: mAP, or how much it sees of what its source sees")] = "mAP"
    tried: Annotated[list[Tried], Meta(description="what was tried, and what it gave")] = []
    likely: Annotated[str, Meta(description="the one that explains it; empty where none does")] = ""


class TensorError(Section, frozen=True, kw_only=True):
    """What one operator gives in the integer file, against float32."""

    name: Annotated[str, Meta(description="the tensor")]
    operator: Annotated[str, Meta(description="what computes it")]
    snr_db: Annotated[float | None, Meta(description="signal to noise in decibels: 20 is an error of a tenth; null: none")] = None
    type: Annotated[str, Meta(description="how it is stored")] = ""


class Trial(Section, frozen=True, kw_only=True):
    """A way to a smaller error, tried out."""

    what: Annotated[str, Meta(description="what was tried")]
    keep_float: Annotated[list[str] | UnsetType, Meta(description="operators that were kept in float")] = UNSET
    share: Annotated[Share | UnsetType | None, Meta(description="the share of float32's detections that it makes")] = UNSET
    detections: Annotated[int | UnsetType | None, Meta(description="how many detections float32 makes in these pictures")] = UNSET
    snr_db: Annotated[float | UnsetType | None, Meta(description="signal to noise at its end, in decibels")] = UNSET
    failed: Annotated[str | UnsetType, Meta(description="why it could not be tried")] = UNSET


class Errors(Section, frozen=True, kw_only=True):
    """Where in the network integers lose what float32 has."""

    pictures: Annotated[int, Meta(description="how many pictures were run")] = 0
    tensors: Annotated[list[TensorError], Meta(description="the ten worst, worst first")] = []
    count: Annotated[int, Meta(description="how many tensors were compared")] = 0
    median_snr_db: Annotated[float | None, Meta(description="half of them are better than this")] = None
    trials: Annotated[list[Trial] | UnsetType, Meta(description="what was tried against it")] = UNSET
    advice: Annotated[str | UnsetType, Meta(description="what to do, if anything")] = UNSET


class Machine(Section, frozen=True, kw_only=True):
    """Where it was measured."""

    cpu: Annotated[str, Meta(description="the processor's name")] = ""
    processors: Annotated[int, Meta(description="how many of them")] = 0
    architecture: Annotated[str, Meta(description="x86_64, aarch64, ...")] = ""


class Timing(Section, frozen=True, kw_only=True):
    """Time for one picture with so many threads."""

    threads: Annotated[int, Meta(description="how many threads")]
    median_ms: Annotated[float, Meta(description="milliseconds: half of the runs took longer")]
    fastest_ms: Annotated[float | None, Meta(description="the fastest run")] = None
    runs: Annotated[int, Meta(description="how many runs")] = 0


class Speed(Section, frozen=True, kw_only=True):
    """How long the network takes for one picture, on the machine that built it."""

    machine: Annotated[Machine, Meta(description="that machine")] = Machine()
    interpreter: Annotated[str, Meta(description="what ran it")] = ""
    threads: Annotated[list[Timing], Meta(description="by number of threads")] = []
    note: Annotated[str, Meta(description="what to keep in mind")] = ""


class XnnPack(Section, frozen=True, kw_only=True):
    """TFLite's fast path for processors: what it doesn't take runs slower."""

    delegated: Annotated[int, Meta(description="operators that it takes")]
    operators: Annotated[int, Meta(description="all operators")]
    share: Annotated[Share, Meta(description="delegated / operators")]
    parts: Annotated[int | None, Meta(description="in how many parts it takes them: between two parts time is lost")] = None
    left: Annotated[dict[str, int], Meta(description="what it leaves, and how many of each")] = {}


class EdgeOperator(Section, frozen=True, kw_only=True):
    """One kind of operator, and whether the Edge TPU takes it."""

    name: Annotated[str, Meta(description="the operator")]
    count: Annotated[int, Meta(description="how many there are")]
    mapped: Annotated[bool, Meta(description="whether the Edge TPU would run them")]
    why: Annotated[str, Meta(description="why not")] = ""


class EdgeTpu(Section, frozen=True, kw_only=True):
    """Whether Google's Edge TPU could run it; judged by its published rules, not by its compiler."""

    ready: Annotated[bool, Meta(description="whether it would run there")]
    mapped: Annotated[int | None, Meta(description="how many operators it would run")] = None
    operators: Annotated[list[EdgeOperator], Meta(description="one by one")] = []
    parameters: Annotated[int | None, Meta(description="bytes of weights")] = None
    fits_cache: Annotated[bool | None, Meta(description="whether these fit its 8 MB of memory")] = None
    why: Annotated[str, Meta(description="what is in the way")] = ""
    compiled: Annotated[dict[str, Any], Meta(description="what its compiler said, where it is installed")] = {}


class Detection(Section, frozen=True, kw_only=True, rename={"class_": "class"}):
    """One thing seen in a picture."""

    box: Annotated[list[float], Meta(min_length=4, max_length=4, description="top, left, bottom, right, as shares of the picture")]
    name: Annotated[str, Meta(description="its class")]
    class_: Annotated[int | None, Meta(description="the number of its class, from 0")] = None
    score: Annotated[float, Meta(description="how sure the model is, from 0 to 1")]


class Example(Section, frozen=True, kw_only=True):
    """A picture, and what is seen in it."""

    name: Annotated[str, Meta(description="the picture's name in its set")]
    file: Annotated[str, Meta(description="the picture itself, in the bundle's folder")]
    width: Annotated[int, Meta(ge=1, description="its columns")]
    height: Annotated[int, Meta(ge=1, description="its rows")]
    source: Annotated[list[Detection], Meta(description="what the source sees")] = []
    found: Annotated[list[Detection], Meta(description="what the file sees")] = []
