"""Read pipeline.config: the settings of the training that the conversion needs."""

from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.pipeline_layers import Layers, read_layers
from litekiln.formats.pipeline_oddities import oddities
from litekiln.formats.textproto import TextMessage, TextprotoError, Value, parse, read_text
from litekiln.wording import did_you_mean

CONVERTIBLE = ("ssd", "center_net")
TRAINED_WITH = "give the pipeline.config that the model was trained with"


@dataclass(frozen=True)
class Pipeline:
    """A model's architecture, from its configuration."""

    architecture: str  # "ssd" or "center_net"
    feature_extractor: str
    num_classes: int
    background_class: bool  # the class head has one more output per anchor, for the background
    resizer: str
    height: int
    width: int
    channels: int
    box_coder: str
    box_code_size: int  # outputs of the box head per anchor
    quantization_aware: bool
    moving_averages: bool  # TF1's exporter takes the averages of the weights
    keypoints: bool  # CenterNet: also trained to find keypoints
    layers: Layers
    oddities: list[str]  # settings that no training of the API's models has


def read_pipeline(path: Path) -> Pipeline:
    config = _parsed(path)
    architecture = _architecture(path, config)
    model = f"model.{architecture}"
    resizer, height, width = _input_size(path, config, model)
    coder = _choice(config, f"{model}.box_coder")
    if architecture == "ssd" and coder not in ("", "faster_rcnn_box_coder"):
        msg = f"{path}: box_coder is {coder!r}, TFLite's PostProcess op can only decode faster_rcnn_box_coder"
        raise SourceError(msg, remedy="train the model with a faster_rcnn_box_coder, as all SSDs of the model zoo are")
    predictor = f"{model}.box_predictor.{_choice(config, f'{model}.box_predictor')}"
    return Pipeline(
        architecture=architecture,
        feature_extractor=str(config.get(f"{model}.feature_extractor.type") or ""),
        num_classes=_num_classes(path, config, model),
        background_class=architecture == "ssd" and _flag(config, f"{model}.add_background_class", absent=True),
        resizer=resizer,
        height=height,
        width=width,
        channels=1 if _flag(config, f"{model}.image_resizer.{resizer}.convert_to_grayscale") else 3,
        box_coder=coder,
        box_code_size=_size(path, config, f"{predictor}.box_code_size", 4),
        quantization_aware="graph_rewriter" in config.fields,
        moving_averages=_flag(config, "eval_config.use_moving_averages"),
        keypoints=bool(config.all(f"{model}.keypoint_estimation_task")),
        layers=read_layers(config, model),
        oddities=oddities(config, model) if architecture == "ssd" else [],
    )


def _parsed(path: Path) -> TextMessage:
    text = read_text(path)
    if text.startswith("\ufeff"):
        msg = f"{path}: begins with a byte order mark, on which the Object Detection API fails"
        raise SourceError(msg, cause="it was saved by an editor as 'UTF-8 with BOM'", remedy="save it as UTF-8 without BOM")
    try:
        return parse(text)
    except TextprotoError as error:
        cause = "a bracket or quote was lost while editing, or the file is of another kind"
        raise SourceError(f"{path}: {error}", cause=cause, remedy=f"fix that line, or {TRAINED_WITH}") from None


def _fields(values: list[Value]) -> list[str]:
    """The names of the fields that are set in any of these messages."""
    return list(dict.fromkeys(name for value in values if isinstance(value, TextMessage) for name in value.fields))


def _choice(config: TextMessage, path: str) -> str:
    """The field that is set, of those that exclude each other. If several are set, protobuf takes the last."""
    return (_fields(config.all(path)) or [""])[-1]


def _architecture(path: Path, config: TextMessage) -> str:
    names = _fields(config.all("model"))
    if not names:
        msg = f"{path}: not a pipeline.config: it has no `model {{ ssd {{ … }} }}`"
        cause = f"it holds: {', '.join(config.fields)}" if config.fields else "it is empty"
        raise SourceError(msg, cause=cause, remedy=TRAINED_WITH)
    if len(names) > 1:
        msg = f"{path}: several models in one configuration: {', '.join(names)}"
        raise SourceError(msg, remedy=TRAINED_WITH)
    name = names[0]
    if name == "faster_rcnn":
        masks = _flag(config, "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks")
        msg = f"{path}: the model is a {'Mask R-CNN' if masks else 'Faster R-CNN'}, which has no TFLite form"
        cause = "TFLite's detection op decodes the boxes of single-shot detectors only"
        raise SourceError(msg, cause=cause, remedy="train an SSD instead: SSD MobileNet v2 FPNLite 320x320 is a good start")
    if name not in CONVERTIBLE:
        cause = did_you_mean(name, CONVERTIBLE, "known here")
        raise SourceError(f"{path}: model is {name!r}, which can't be converted", cause=cause, remedy=TRAINED_WITH)
    return name


def _num_classes(path: Path, config: TextMessage, model: str) -> int:
    if config.get(f"{model}.num_classes") is None:
        msg = f"{path}: num_classes is missing in {model}"
        raise SourceError(
            msg, cause="the line was lost while editing", remedy=f"write the number of trained classes there, or {TRAINED_WITH}"
        )
    return _size(path, config, f"{model}.num_classes", 0)


def _input_size(path: Path, config: TextMessage, model: str) -> tuple[str, int, int]:
    """The resizer's kind, and the height and width it always gives. Defaults are those of the API's image_resizer.proto."""
    resizer = _choice(config, f"{model}.image_resizer")
    where = f"{model}.image_resizer.{resizer}"
    method = config.get(f"{where}.resize_method")
    if method not in (None, "BILINEAR", 0):
        msg = f"{path}: {where}.resize_method is {method}, but pictures are resized by BILINEAR here and on a Pi"
        raise SourceError(msg, cause="each method gives different pixels", remedy="train with the default method, BILINEAR")
    if resizer == "fixed_shape_resizer":
        return resizer, _size(path, config, f"{where}.height", 300), _size(path, config, f"{where}.width", 300)
    if resizer == "keep_aspect_ratio_resizer" and _flag(config, f"{where}.pad_to_max_dimension"):
        shorter, side = _size(path, config, f"{where}.min_dimension", 600), _size(path, config, f"{where}.max_dimension", 1024)
        if shorter == side:
            return resizer, side, side
        problem = f"{where} has min_dimension {shorter} and max_dimension {side}: a picture's new size depends on its shape"
    elif resizer == "keep_aspect_ratio_resizer":
        problem = "keep_aspect_ratio_resizer without pad_to_max_dimension gives each picture a different size"
    else:
        problem = f"{resizer} has no fixed size" if resizer else f"no image_resizer in {model}"
    remedy = "train with `image_resizer { fixed_shape_resizer { height: 320 width: 320 } }`"
    raise SourceError(f"{path}: {problem}", cause="a TFLite model needs an input of fixed size", remedy=remedy)


def _flag(config: TextMessage, where: str, *, absent: bool = False) -> bool:
    value = config.get(where)
    return absent if value is None else value in (True, 1, "t")  # what protobuf accepts as true


def _size(path: Path, config: TextMessage, where: str, default: int) -> int:
    value = config.get(where)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        shown = repr(value) if not isinstance(value, TextMessage) else "a message"
        raise SourceError(f"{path}: {where} is {shown}, expected a whole number of at least 1", remedy=f"fix it, or {TRAINED_WITH}")
    return value
