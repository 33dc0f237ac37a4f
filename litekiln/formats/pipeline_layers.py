"""What a pipeline.config says about the layers of an SSD: with it, a checkpoint's variables can be compared.

Defaults are those of the Object Detection API's .proto files. None stands for what can't be told.
"""

from dataclasses import dataclass

from litekiln.formats.textproto import TextMessage

FPN_LEVELS = (3, 7)
LEVELS = "anchor_generator.multiscale_anchor_generator"
MAPS = 6  # of ssd_anchor_generator


@dataclass(frozen=True)
class Layers:
    """Numbers of layers and of their values."""

    depth_multiplier: float = 1.0
    min_depth: int = 16
    depthwise: bool = False  # the feature extractor's own layers are depthwise ones
    pyramid_levels: tuple[int, int] = FPN_LEVELS
    shared_predictor: bool | None = None  # one predictor for all feature maps
    tower: int = 0  # layers of a shared predictor before its last one
    anchor_levels: tuple[int, int] | None = None  # of multiscale_anchor_generator
    anchors: tuple[int, ...] | None = None  # for each place of each feature map; one number if all maps have the same


def read_layers(config: TextMessage, model: str) -> Layers:
    """`model` is the path to the model's settings: "model.ssd"."""

    def number(where: str, absent: float) -> float:
        value = config.get(f"{model}.{where}")
        return absent if isinstance(value, bool) or not isinstance(value, int | float) else value

    predictors = [name for value in config.all(f"{model}.box_predictor") if isinstance(value, TextMessage) for name in value.fields]
    shared = predictors[-1] == "weight_shared_convolutional_box_predictor" if predictors else None
    low, high = FPN_LEVELS
    return Layers(
        depth_multiplier=float(number("feature_extractor.depth_multiplier", 1.0)),
        min_depth=int(number("feature_extractor.min_depth", 16)),
        depthwise=config.get(f"{model}.feature_extractor.use_depthwise") in (True, 1),
        pyramid_levels=(
            int(number("feature_extractor.fpn.min_level", low)),
            int(number("feature_extractor.fpn.max_level", high)),
        ),
        shared_predictor=shared,
        tower=int(number("box_predictor.weight_shared_convolutional_box_predictor.num_layers_before_predictor", 0)),
        anchor_levels=(int(number(f"{LEVELS}.min_level", low)), int(number(f"{LEVELS}.max_level", high)))
        if config.all(f"{model}.{LEVELS}")
        else None,
        anchors=_anchors(config, f"{model}.anchor_generator"),
    )


def _anchors(config: TextMessage, where: str) -> tuple[int, ...] | None:
    """How many boxes a place of each feature map has."""
    several = f"{where}.multiscale_anchor_generator"
    if ratios := len(config.all(f"{several}.aspect_ratios")):
        scales = config.get(f"{several}.scales_per_octave")
        return (ratios * (scales if isinstance(scales, int) else 2),)
    one = f"{where}.ssd_anchor_generator"
    ratios = len(config.all(f"{one}.aspect_ratios"))
    maps = config.get(f"{one}.num_layers")
    between = config.get(f"{one}.interpolated_scale_aspect_ratio")
    if not ratios or not isinstance(maps, int | None) or not isinstance(between, int | float | None):
        return None
    count = ratios + (between is None or between > 0)
    lowest = 3 if config.get(f"{one}.reduce_boxes_in_lowest_layer") in (None, True, 1) else count
    return (lowest, *[count] * ((MAPS if maps is None else maps) - 1))
