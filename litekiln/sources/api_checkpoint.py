"""Check a user's checkpoint before anything runs: is it complete, and do its parts belong together?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import STATE_FILE, Variable, check_complete, find_checkpoint, named_checkpoint
from litekiln.formats.label_map import NO_NAME, Labels, other_count, read_labels
from litekiln.formats.pipeline_config import TRAINED_WITH, Pipeline, read_pipeline
from litekiln.sources.backbones import KERAS_EXTRACTORS, TF1_EXTRACTORS
from litekiln.sources.checkpoint_fit import OTHER_TRAINING, SAME_TRAINING, TF2_ROOT, check_fit
from litekiln.sources.frozen_graph import refuse_actions
from litekiln.sources.kinds import TF1_DETECTION, TF2_DETECTION
from litekiln.sources.layout import READY
from litekiln.wording import nearest

CONFIG = "pipeline.config"
DEEPEST = 3  # folders between the given one and its pipeline.config
WAY_OUT = f"give the folder that has {CONFIG} and {STATE_FILE}/ (ckpt-N.index, ckpt-N.data-00000-of-00001)"
OTHER_FORMS = {
    "saved_model.pb": "a SavedModel, the result of an export",
    "frozen_inference_graph.pb": "a frozen graph, the result of an export",
    "*.tar.gz": "an archive that is still packed",
    "*.tflite": "a finished TFLite model",
    "*.h5": "Keras weights",
    "*.keras": "a Keras model",
}
TF2_BIAS = r"/bias/\.ATTRIBUTES/VARIABLE_VALUE"
CENTER_BIAS = rf"model/_prediction_head_dict/object_center/(\d+)/layer_with_weights-(\d+){TF2_BIAS}"
RANGE = r".*(?:act|weights)_quant/(?:.*/)?(?:min|max)"  # what quantization-aware training learns
AVERAGE = "/ExponentialMovingAverage"
TF1_SCOPE = r"(?:BoxPredictor_(\d+)|WeightSharedConvolutionalBoxPredictor)"
# A class head's bias and its box head's. The groups are the feature map, if each has its own predictor, and the head's layer.
HEADS = [
    (
        rf"model/_box_predictor/_prediction_heads/class_predictions_with_background/(?:(\d+)/)?_class_predictor_layers/(\d+){TF2_BIAS}",
        r"model/_box_predictor/(?:_prediction_heads/box_encodings|_box_prediction_head)/(?:(\d+)/)?_box_encoder_layers/(\d+)"
        + TF2_BIAS,
    ),
    (rf"{TF1_SCOPE}/ClassPredictor/biases", rf"{TF1_SCOPE}/(?:BoxEncodingPredictor|BoxPredictor)/biases"),
]


@dataclass(frozen=True)
class Head:
    """A class head's bias: one value per anchor and class."""

    name: str
    length: int
    anchors: int

    @property
    def slots(self) -> int:
        return self.length // self.anchors


@dataclass(frozen=True)
class Findings:
    """What a folder with a checkpoint holds, and what the user should know about it."""

    kind: str  # one of the kinds of checkpoints
    pipeline: Pipeline
    pipeline_path: Path
    prefix: Path
    labels: Labels | None
    notes: list[str]
    warnings: list[str] = field(default_factory=list)


def inspect_source(folder: Path, labels: Path | None = None, prefix: Path | None = None) -> Findings:
    """What a folder with a checkpoint and its pipeline.config holds. What would fail later is refused now.

    `prefix` names the checkpoint. Without it, the one in the folder's state file counts, or the newest.
    """
    pipeline_path = _find_config(folder)
    pipeline = read_pipeline(pipeline_path)
    for ready in {folder / "ready" / READY, folder / READY, pipeline_path.parent / READY}:  # a graph that is used as it is
        if ready.is_file():
            refuse_actions(ready)
    prefix, notes = (prefix, []) if prefix else _find_prefix(folder, pipeline_path.parent)
    variables = check_complete(prefix)
    kind = _kind(variables, prefix)
    _check_version(kind, pipeline, pipeline_path, prefix)
    if kind == TF1_DETECTION.name:
        _check_averages(variables, pipeline, pipeline_path, prefix)
        _check_ranges(variables, pipeline, pipeline_path, prefix)
    notes += _center_net_notes(pipeline, pipeline_path)
    heads = find_heads(variables, pipeline.box_code_size)
    if not heads:
        notes.append(f"{prefix}: its class head has an unknown form, so num_classes {pipeline.num_classes} is not checked")
    found = read_labels(labels) if labels else None
    _check_heads(heads, pipeline, pipeline_path, prefix, found)
    check_fit(variables, pipeline, pipeline_path, prefix, [head.anchors for head in heads])
    if labels and found:
        notes += _check_labels(found, labels, pipeline, pipeline_path)
    unless = "if the training did not have that, its boxes or scores are wrong"
    odd = [f"{pipeline_path}: {each}: {unless}" for each in pipeline.oddities]
    return Findings(kind, pipeline, pipeline_path, prefix, found, notes, odd)


def _find_config(folder: Path) -> Path:
    if not folder.is_dir():
        msg = f"{folder} is not a folder" if folder.exists() else f"{folder}: no such folder"
        raise SourceError(msg, cause=_other_form(folder), remedy=WAY_OUT)
    for depth in range(DEEPEST + 1):
        found = sorted(folder.glob("*/" * depth + CONFIG))
        if len(found) > 1:
            msg = f"several {CONFIG} in {folder}: {', '.join(path.relative_to(folder).as_posix() for path in found)}"
            raise SourceError(msg, cause="it holds more than one model", remedy="give the folder of one of them")
        if found:
            return found[0]
    others = sorted(path.name for path in folder.glob("*.config"))
    cause = _other_form(folder)
    if (folder.parent / CONFIG).is_file():
        cause = f"it is one folder up, in {folder.parent}"
    elif others:
        cause = f"it holds {others[0]}: if that is the right file, rename it to {CONFIG}"
    raise SourceError(f"no {CONFIG} in {folder}", cause=cause, remedy=WAY_OUT)


def _other_form(place: Path) -> str:
    """A sentence about the form of model that was given instead; '' if it is none that is known."""
    for pattern, form in OTHER_FORMS.items():
        found = (
            [place] if place.match(pattern) else [path for depth in range(DEEPEST) for path in place.glob("*/" * depth + pattern)]
        )
        if found:
            return f"{found[0].name} is {form}; the conversion starts from the checkpoint"
    return ""


def _find_prefix(folder: Path, beside_config: Path) -> tuple[Path, list[str]]:
    """The prefix of the checkpoint beside the configuration, or else in the folder; and notes about the choice."""
    places = [place for place in (beside_config, folder) if any(place.glob("*.index")) or any(place.glob(f"{STATE_FILE}/*.index"))]
    if not places and (form := _other_form(folder)):
        raise SourceError(f"no checkpoint in {folder}", cause=form, remedy=WAY_OUT)
    prefix = find_checkpoint(places[0] if places else beside_config)
    named = named_checkpoint(prefix.parent)
    if named in (None, prefix.name):
        return prefix, []
    return prefix, [f"{prefix.parent / STATE_FILE} names {named}, which is missing: {prefix.name} is used"]


def _kind(variables: Mapping[str, Variable], prefix: Path) -> str:
    if TF2_ROOT in variables and any(name.startswith("model/") for name in variables):
        return TF2_DETECTION.name
    if any(re.match(rf"FeatureExtractor/|{TF1_SCOPE}/", name) for name in variables):
        return TF1_DETECTION.name
    first = next((name for name in variables if name != TF2_ROOT), "nothing")
    msg = f"{prefix} holds no model of the Object Detection API: it begins with {first!r}"
    cause = "another program wrote it, or it is a classifier from which a training starts"
    raise SourceError(msg, cause=cause, remedy="give the checkpoint that the API's training wrote")


def _check_version(kind: str, pipeline: Pipeline, pipeline_path: Path, prefix: Path) -> None:
    """Refuse an SSD whose configuration is for the other TensorFlow: TF2's feature extractors are Keras ones."""
    extractor = pipeline.feature_extractor
    if pipeline.architecture == "ssd" and extractor and extractor not in (*KERAS_EXTRACTORS, *TF1_EXTRACTORS):
        close = nearest(extractor, KERAS_EXTRACTORS if kind == TF2_DETECTION.name else TF1_EXTRACTORS)
        msg = f"{pipeline_path}: the Object Detection API has no feature extractor {extractor!r}"
        cause = "the model was trained with a changed copy of the API" + (
            f"; or it was mistyped: {close!r} is one" if close else ""
        )
        raise SourceError(msg, cause=cause, remedy="give an export of that training, made with its own code: a SavedModel")
    made_with, named_for = ("TF2" if keras else "TF1" for keras in (kind == TF2_DETECTION.name, "_keras" in extractor))
    if pipeline.architecture == "ssd" and extractor and made_with != named_for:
        msg = (
            f"{pipeline_path}: feature extractor {extractor!r} is for {named_for}, but the checkpoint {prefix} is from {made_with}"
        )
        raise SourceError(msg, cause=OTHER_TRAINING, remedy=SAME_TRAINING)


def _check_averages(variables: Mapping[str, Variable], pipeline: Pipeline, pipeline_path: Path, prefix: Path) -> None:
    """Refuse missing averages of the weights: TF1's exporter would fail in the middle of its own code."""
    if pipeline.moving_averages and not any(name.endswith(AVERAGE) for name in variables):
        msg = f"{pipeline_path} says use_moving_averages: true, but the checkpoint {prefix} has no averages (no *{AVERAGE})"
        remedy = f"if the training kept none, write use_moving_averages: false into eval_config in {CONFIG}"
        raise SourceError(msg, cause="the training did not keep them, or somebody removed them from the checkpoint", remedy=remedy)


def _check_ranges(variables: Mapping[str, Variable], pipeline: Pipeline, pipeline_path: Path, prefix: Path) -> None:
    """Refuse a configuration and a checkpoint of which only one is quantization-aware."""
    learned = next((name for name in variables if re.fullmatch(RANGE, name)), "")
    if pipeline.quantization_aware and not learned:
        msg = f"{pipeline_path} has a graph_rewriter, but the checkpoint {prefix} has no learned ranges (no */act_quant/min)"
        cause = "the checkpoint was saved before quantization-aware training began, or comes from another training"
        remedy = f"give a later checkpoint; or, to convert it as an ordinary model, remove graph_rewriter from {CONFIG}"
        raise SourceError(msg, cause=cause, remedy=remedy)
    if learned and not pipeline.quantization_aware:
        msg = f"the checkpoint {prefix} was trained quantization-aware ({learned}), but {pipeline_path} has no graph_rewriter"
        remedy = f"write into {CONFIG}: graph_rewriter {{ quantization {{ weight_bits: 8 activation_bits: 8 }} }}"
        raise SourceError(msg, cause=f"the configuration comes from another training; {TRAINED_WITH}", remedy=remedy)


def _center_net_notes(pipeline: Pipeline, pipeline_path: Path) -> list[str]:
    """Notes about what litekiln does not promise for a CenterNet."""
    notes = []
    if pipeline.architecture == "center_net" and not pipeline.feature_extractor.startswith("mobilenet"):
        text = "is not tested: only CenterNets on mobilenet are; it is still converted and checked"
        notes.append(f"{pipeline_path}: feature extractor {pipeline.feature_extractor!r} {text}")
    if pipeline.keypoints:
        notes.append(f"{pipeline_path}: its keypoints are left out: the result has boxes, classes and scores")
    return notes


def find_heads(variables: Mapping[str, Variable], box_code_size: int) -> list[Head]:
    """The class heads, in the order of their feature maps; none if one of them has an unknown form."""
    centers = [Head(name, length, 1) for name, length in _biases(CENTER_BIAS, variables).values()]
    if centers:
        return centers if all(head.length for head in centers) else []
    for classes, boxes in HEADS:
        box_biases = _biases(boxes, variables)
        heads = []
        for feature_map, (name, length) in _biases(classes, variables).items():
            _, box_length = box_biases.get(feature_map, ("", 0))
            anchors, rest = divmod(box_length, box_code_size)
            if rest or not anchors or not length or length % anchors:
                return []
            heads.append(Head(name, length, anchors))
        if heads:
            return heads
    return []


def _biases(pattern: str, variables: Mapping[str, Variable]) -> dict[int, tuple[str, int]]:
    """The heads' biases by feature map: name and length. A head's last layer is the one that predicts."""
    found = []
    for name, variable in variables.items():
        match = re.fullmatch(pattern, name)
        if match:
            length = variable.shape[0] if len(variable.shape) == 1 else 0
            found.append((tuple(int(group) for group in match.groups("0")), name, length))
    return {position[0]: (name, length) for position, name, length in sorted(found)}


def _check_heads(heads: list[Head], pipeline: Pipeline, pipeline_path: Path, prefix: Path, labels: Labels | None) -> None:
    background = int(pipeline.background_class)
    wanted = pipeline.num_classes + background
    wrong = next((head for head in heads if head.slots != wanted), None)
    if not wrong:
        return
    trained = f"the checkpoint {prefix} was trained with {wrong.slots - background}"
    anchors = f" ({wrong.anchors} anchors x {wrong.slots})" if pipeline.architecture == "ssd" else ""
    has = f"{wrong.name} has {wrong.length} values{anchors}"
    msg = f"{pipeline_path} says num_classes {pipeline.num_classes}, but {trained}: {has}, expected {wrong.anchors * wanted}"
    raise SourceError(msg, cause=_count_cause(wrong, pipeline, labels), remedy=SAME_TRAINING)


def _count_cause(head: Head, pipeline: Pipeline, labels: Labels | None) -> str:
    """Why a head has another number of classes. One more or less may be the background; a label map decides."""
    background = pipeline.background_class
    if pipeline.architecture != "ssd" or head.slots != pipeline.num_classes + (not background):
        return OTHER_TRAINING
    value = str(background).lower()
    if labels and labels.class_count == head.slots - background:
        return f"the label map has {labels.class_count} classes too: num_classes in {CONFIG} was changed after the training"
    if labels and labels.class_count == pipeline.num_classes:
        return f"add_background_class is {value} in {CONFIG}, but the training had the other value: the label map's classes fit"
    return f"{OTHER_TRAINING}; or add_background_class, {value} in {CONFIG}, was the other value in the training"


def _check_labels(labels: Labels, path: Path, pipeline: Pipeline, pipeline_path: Path) -> list[str]:
    """Notes about a label map that fits the model; another one is refused."""
    if labels.class_count != pipeline.num_classes:
        msg = f"{path} has {labels.class_count} classes, but {pipeline_path} says num_classes {pipeline.num_classes}"
        remedy = f"give the label map of the model's training; in a .txt a line {NO_NAME!r} counts a class without a name"
        raise SourceError(msg, cause=other_count(labels, pipeline.num_classes), remedy=remedy)
    holes = labels.class_count - len(labels.names)
    unnamed = [f"{path}: {holes} of {labels.class_count} classes have no name and are shown as {NO_NAME!r}"] if holes else []
    return labels.warnings + unnamed


def check_kind(found: Findings) -> None:
    """Refuse what `inv build` can't build."""
    if found.pipeline.channels == 1:
        msg = "the model takes grey pictures, which are not supported"
        raise SourceError(msg, cause=f"{CONFIG} sets convert_to_grayscale", remedy="train it on pictures in colour")
