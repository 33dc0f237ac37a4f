"""The measured sections of report.json. See report_format.py, which holds the whole."""

from typing import Annotated, Any, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

Share = Annotated[float, Meta(ge=0, le=1)]
T = TypeVar("T")


class Section(Struct, frozen=True):
    """A part of a report. Fields without a default must be present if the part is.

    A field that builds may leave out is UNSET then, so that the file is written as it was read. Other defaults are for reports of
    older versions: today's builds always write these fields.
    """


def given(value: T | UnsetType | None) -> T | None:
    """A field's value; None where the report leaves it out."""
    return None if value is UNSET else value


class RawOutput(Section, frozen=True, kw_only=True):
    """One raw output of the network, before detections are made from it: the file's compared with the source's."""

    name: Annotated[str, Meta(description="which output")]
    max: Annotated[float, Meta(description="the largest difference of any value")]
    mean: Annotated[float, Meta(description="the mean difference")]
    largest: Annotated[float, Meta(description="the largest value of the source's output, to which the difference is compared")]
    relative: Annotated[float, Meta(description="max / largest")]
    relative_mean: Annotated[
        float | None, Meta(description="the mean difference / the mean absolute value of the source's output")
    ] = None
    limit: Annotated[float | UnsetType | None, Meta(description="the limit of relative; null if it is only reported")] = UNSET
    mean_limit: Annotated[
        float | UnsetType | None, Meta(description="the limit of relative_mean; only if there are no detections to compare")
    ] = UNSET
    ok: Annotated[bool | UnsetType, Meta(description="whether it is within its limit")] = UNSET


class ScoreDifference(Section, frozen=True, kw_only=True):
    """How much the scores of matched detections differ."""

    max: Annotated[float, Meta(description="the largest difference")]
    mean: Annotated[float, Meta(description="the mean difference")]


class Matched(Section, frozen=True, kw_only=True):
    """Detections of the source that the file finds too: same class, same place."""

    source: Annotated[int, Meta(description="how many the source finds")]
    matched: Annotated[int, Meta(description="how many of these the file finds")]
    extra: Annotated[int, Meta(description="how many other detections the file makes")] = 0
    share: Annotated[Share, Meta(description="the share of all detections that both find: matched / (source + extra)")]
    iou: Annotated[float, Meta(description="the minimum IoU of two boxes to count as the same place; 1 is an exact match")]
    limit: Annotated[float | UnsetType | None, Meta(description="the minimum share; null if it is only reported")] = UNSET
    score: Annotated[float, Meta(description="detections under this score are not counted")] = 0.0
    score_difference: Annotated[ScoreDifference | None, Meta(description="of the matched detections; null if there are none")] = (
        None
    )
    ok: Annotated[bool | UnsetType, Meta(description="whether the share is within its limit")] = UNSET


class Parity(Section, frozen=True, kw_only=True):
    """The file compared with its source on the same pictures. No ground truth is needed."""

    against: Annotated[str, Meta(description="what the source was, and what ran it")]
    set: Annotated[str, Meta(description="the picture set below calib/, or the folder")] = ""
    pictures: Annotated[int, Meta(description="how many pictures")] = 0
    raw_pictures: Annotated[
        int | None, Meta(description="on how many of them the raw outputs were compared; null: not recorded")
    ] = None
    raw: Annotated[list[RawOutput], Meta(description="the network's outputs, one by one")] = []
    detections: Annotated[
        Matched | UnsetType | None,
        Meta(description="detections that the file's rules make from both outputs; null if it makes none"),
    ] = UNSET
    own_detections: Annotated[
        Matched | UnsetType | None,
        Meta(description="the same, compared with detections by the source's own rules, if these differ"),
    ] = UNSET


class Protocol(Section, frozen=True, kw_only=True):
    """How the mAP was measured: only compare two numbers if all of this is equal."""

    pictures: Annotated[int, Meta(description="how many pictures")]
    height: Annotated[int, Meta(description="the height they were resized to")]
    width: Annotated[int, Meta(description="the width they were resized to")]
    resize: Annotated[str, Meta(description="stretch or letterbox")]
    max_detections: Annotated[int, Meta(description="the most detections per picture")]
    score_threshold: Annotated[float, Meta(description="detections under this score are not counted")]
    tool: Annotated[str, Meta(description="what computed it")]


class Accuracy(Section, frozen=True, kw_only=True):
    """How accurate the file is, on pictures with ground truth."""

    map: Annotated[Share, Meta(description="mAP@[.5:.95]: mean over classes and IoU thresholds; 1 is perfect")]
    map_50: Annotated[Share | None, Meta(description="mAP@.5: the same at an IoU threshold of 0.5")] = None
    error: Annotated[
        float | UnsetType, Meta(description="how far chance moves the mAP up or down, with 95 % of such sets of pictures")
    ] = UNSET
    reference_map: Annotated[
        Share | UnsetType | None, Meta(description="the mAP of float32 on the same pictures; null if it was not built")
    ] = UNSET
    drop_points: Annotated[
        float | UnsetType | None, Meta(description="how many mAP points (hundredths) it lost against float32")
    ] = UNSET
    drop_error: Annotated[
        float | UnsetType, Meta(description="how far chance moves that loss, in points, with 95 % of such sets of pictures")
    ] = UNSET
    warn_points: Annotated[float | UnsetType | None, Meta(description="a larger loss gives a warning")] = UNSET
    limit_points: Annotated[float | UnsetType | None, Meta(description="a loss that is surely larger is over the limit")] = UNSET
    within_limit: Annotated[bool | UnsetType, Meta(description="whether the loss is within its limit")] = UNSET
    protocol: Annotated[Protocol | None, Meta(description="how it was measured")] = None
    per_class: Annotated[dict[str, float | None], Meta(description="mAP of each class; null if no picture shows it")] = {}


class Agreement(Section, frozen=True, kw_only=True, rename={"with_": "with"}):
    """How often the file agrees with float32. Both may be wrong together: this is not accuracy."""

    with_: Annotated[str, Meta(description="the variant that it is compared with")] = "float32"
    set: Annotated[str, Meta(description="the picture set below calib/, or the folder")] = ""
    pictures: Annotated[int, Meta(description="how many pictures")] = 0
    detections: Annotated[int, Meta(description="how many detections float32 makes")] = 0
    matched: Annotated[int, Meta(description="how many of these the file makes too")] = 0
    extra: Annotated[int, Meta(description="how many other detections the file makes")] = 0
    share: Annotated[Share, Meta(description="the share of all detections that both find: matched / (detections + extra)")]
    iou: Annotated[float, Meta(description="the minimum IoU of two boxes to count as the same place")] = 0.5
    score: Annotated[float, Meta(description="detections under this score are not counted")] = 0.0
    score_difference: Annotated[ScoreDifference | None, Meta(description="of the matched detections; null if there are none")] = (
        None
    )
    limit: Annotated[float | None, Meta(description="the minimum share; null if it is only reported")] = None
    ok: Annotated[bool, Meta(description="whether the share is within its limit")] = True


class Tried(Section, frozen=True, kw_only=True):
    """One possible mistake that was tried out."""

    what: Annotated[str, Meta(description="what was changed")]
    score: Annotated[Share, Meta(description="the result with this change")]


class Suspicion(Section, frozen=True, kw_only=True):
    """Much is lost, and a wrong setting may be the cause: the file was measured again with other settings."""

    now: Annotated[Share, Meta(description="the result without a change, on the same pictures")]
    measure: Annotated[str, Meta(description="what was measured: mAP, or how much it finds of what its source finds")] = "mAP"
    tried: Annotated[list[Tried], Meta(description="what was tried, and the results")] = []
    likely: Annotated[str, Meta(description="the change that explains the loss; empty if none does")] = ""


class TensorError(Section, frozen=True, kw_only=True):
    """One operator's result in the integer file, compared with float32."""

    name: Annotated[str, Meta(description="the tensor")]
    operator: Annotated[str, Meta(description="what computes it")]
    snr_db: Annotated[
        float | None, Meta(description="signal to noise in decibels: at 20 the error is a tenth of the signal; null: no value")
    ] = None
    type: Annotated[str, Meta(description="how it is stored")] = ""


class Trial(Section, frozen=True, kw_only=True):
    """One attempt to reduce the error."""

    what: Annotated[str, Meta(description="what was tried")]
    keep_float: Annotated[list[str] | UnsetType, Meta(description="operators that were kept in float")] = UNSET
    share: Annotated[Share | UnsetType | None, Meta(description="the share of float32's detections that it makes")] = UNSET
    detections: Annotated[int | UnsetType | None, Meta(description="how many detections float32 makes in these pictures")] = UNSET
    snr_db: Annotated[float | UnsetType | None, Meta(description="signal to noise of the outputs, in decibels")] = UNSET
    failed: Annotated[str | UnsetType, Meta(description="why it could not be tried")] = UNSET


class Errors(Section, frozen=True, kw_only=True):
    """Where in the network integers lose accuracy against float32."""

    pictures: Annotated[int, Meta(description="how many pictures were run")] = 0
    tensors: Annotated[list[TensorError], Meta(description="the ten worst, worst first")] = []
    count: Annotated[int, Meta(description="how many tensors were compared")] = 0
    median_snr_db: Annotated[float | None, Meta(description="half of the tensors are better than this")] = None
    trials: Annotated[list[Trial] | UnsetType, Meta(description="what was tried to reduce the error")] = UNSET
    advice: Annotated[str | UnsetType, Meta(description="what to do, if anything")] = UNSET


class Machine(Section, frozen=True, kw_only=True):
    """The machine on which it was measured."""

    cpu: Annotated[str, Meta(description="the processor's name")] = ""
    processors: Annotated[int, Meta(description="how many processors it has")] = 0
    architecture: Annotated[str, Meta(description="x86_64, aarch64, ...")] = ""


class Timing(Section, frozen=True, kw_only=True):
    """The time for one picture with a number of threads."""

    threads: Annotated[int, Meta(description="how many threads")]
    median_ms: Annotated[float, Meta(description="milliseconds: half of the runs took longer")]
    fastest_ms: Annotated[float | None, Meta(description="the fastest run")] = None
    runs: Annotated[int, Meta(description="how many runs")] = 0


class Speed(Section, frozen=True, kw_only=True):
    """How long the network takes for one picture, on the machine that built it."""

    machine: Annotated[Machine, Meta(description="that machine")] = Machine()
    interpreter: Annotated[str, Meta(description="what ran it")] = ""
    threads: Annotated[list[Timing], Meta(description="the times, by number of threads")] = []
    note: Annotated[str, Meta(description="what to keep in mind")] = ""


class XnnPack(Section, frozen=True, kw_only=True):
    """TFLite's fast path for CPUs. Operators that it doesn't run are slower."""

    delegated: Annotated[int, Meta(description="how many operators it runs")]
    operators: Annotated[int, Meta(description="how many operators there are")]
    share: Annotated[Share, Meta(description="delegated / operators")]
    parts: Annotated[int | None, Meta(description="in how many parts it runs them: each change between parts costs time")] = None
    left: Annotated[dict[str, int], Meta(description="the operators that it doesn't run, and how many of each")] = {}


class EdgeOperator(Section, frozen=True, kw_only=True):
    """One kind of operator, and whether the Edge TPU runs it."""

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
    fits_cache: Annotated[bool | None, Meta(description="whether they fit its 8 MB of memory")] = None
    why: Annotated[str, Meta(description="how many operators would run there, and what prevents the others")] = ""
    compiled: Annotated[dict[str, Any], Meta(description="what its compiler said, if it is installed")] = {}


class Detection(Section, frozen=True, kw_only=True, rename={"class_": "class"}):
    """One detected object."""

    box: Annotated[list[float], Meta(min_length=4, max_length=4, description="top, left, bottom, right, as shares of the picture")]
    name: Annotated[str, Meta(description="its class")]
    class_: Annotated[int | None, Meta(description="the number of its class, from 0")] = None
    score: Annotated[float, Meta(description="how sure the model is, from 0 to 1")]


class Example(Section, frozen=True, kw_only=True):
    """A picture, and what is detected in it."""

    name: Annotated[str, Meta(description="the picture's name in its set")]
    file: Annotated[str, Meta(description="the picture itself, in the bundle's folder")]
    width: Annotated[int, Meta(ge=1, description="its columns")]
    height: Annotated[int, Meta(ge=1, description="its rows")]
    source: Annotated[list[Detection], Meta(description="what the source detects")] = []
    found: Annotated[list[Detection], Meta(description="what the file detects")] = []
