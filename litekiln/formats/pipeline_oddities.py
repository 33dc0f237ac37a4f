"""Settings of a pipeline.config that no training of the API's models has: somebody changed them afterwards, or knew why.

They leave no trace in a checkpoint: boxes or scores are wrong, and nothing fails. All configurations of the model zoo have the
usual values, and so have nearly all that people publish. Anchors of other sizes are no oddity: small things need smaller ones.
"""

from collections.abc import Sequence

from litekiln.formats.textproto import TextMessage

SCALES = ("y_scale", "x_scale", "height_scale", "width_scale")
USUAL_SCALES = (10.0, 10.0, 5.0, 5.0)  # of faster_rcnn_box_coder; also what an unset one is
PLAIN_SCALES = (1.0, 1.0, 1.0, 1.0)  # EfficientDet's
RATIOS = ([1.0, 2.0, 0.5], [1.0, 2.0, 0.5, 3.0, 0.333])
CONVERTERS = {"weighted_sigmoid": "SIGMOID", "weighted_sigmoid_focal": "SIGMOID", "weighted_softmax": "SOFTMAX"}


def oddities(config: TextMessage, model: str) -> list[str]:
    """What is unusual, each with what is usual. `model` is the path to an SSD's settings."""
    found = [_scales(config, f"{model}.box_coder.faster_rcnn_box_coder")]
    found += [
        _ratios(config, f"{model}.anchor_generator.{each}") for each in ("ssd_anchor_generator", "multiscale_anchor_generator")
    ]
    found += [_converter(config, model), _activation(config, model)]
    return [each for each in found if each]


def _numbers(values: Sequence[object]) -> list[float]:
    return [float(each) for each in values if isinstance(each, int | float)]


def _scales(config: TextMessage, where: str) -> str:
    given = [_numbers(config.all(f"{where}.{name}")[-1:]) or [usual] for name, usual in zip(SCALES, USUAL_SCALES, strict=True)]
    scales = tuple(value for [value] in given)
    if scales in (USUAL_SCALES, PLAIN_SCALES):
        return ""
    held = ", ".join(f"{name} {value:g}" for name, value in zip(SCALES, scales, strict=True))
    return f"faster_rcnn_box_coder has {held}, where the API's models have 10, 10, 5 and 5, or 1 each"


def _ratios(config: TextMessage, where: str) -> str:
    """The usual ratios in another order: each box would be decoded with another one's anchor."""
    ratios = [round(value, 3) for value in _numbers(config.all(f"{where}.aspect_ratios"))]
    usual = next((each for each in RATIOS if sorted(each) == sorted(ratios)), ratios)
    if ratios == usual:
        return ""
    kind = where.rpartition(".")[2]
    orders = (", ".join(f"{value:g}" for value in each) for each in (ratios, usual))
    return "{} has the aspect_ratios {}, where the API's models have the same in the order {}".format(kind, *orders)


def _converter(config: TextMessage, model: str) -> str:
    losses = [
        name for value in config.all(f"{model}.loss.classification_loss") if isinstance(value, TextMessage) for name in value.fields
    ]
    converter = config.get(f"{model}.post_processing.score_converter")
    wanted = CONVERTERS.get(losses[-1]) if losses else None
    if not wanted or converter in (None, wanted):
        return ""
    return f"score_converter is {converter}, but a model that was trained with {losses[-1]} needs {wanted}"


def _activation(config: TextMessage, model: str) -> str:
    where = f"{model}.feature_extractor.conv_hyperparams.activation"
    value = config.get(where)
    return f"{where} is {value}, where the API's models have RELU_6 or SWISH" if value in ("RELU", "NONE", 0, 1) else ""
