"""Compare a checkpoint's variables with what its pipeline.config makes: another network would fail later, or find nothing.

Only what is there speaks: a network that is not known here passes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import Variable, read_string, read_values
from litekiln.formats.pipeline_config import Pipeline
from litekiln.formats.protowire import read_message
from litekiln.sources.backbones import KERAS_EXTRACTORS, kernels_of
from litekiln.sources.checkpoint_values import SLOT, plain_name
from litekiln.wording import amount, list_names

OTHER_TRAINING = "the two come from different trainings: often one is from the model zoo and the other is yours"
TF2_ROOT = "_CHECKPOINTABLE_OBJECT_GRAPH"
SAME_TRAINING = "give the checkpoint and the pipeline.config of one training"
NORMAL = ("beta", "moving_mean", "moving_variance")  # what each batch normalisation has; most also have gamma
# Elsewhere a number may be left out: a layer that two models share is named after one of them.
NUMBERED = re.compile(r"(model/_feature_extractor/(?:classification_backbone|_efficientnet)/layer_with_weights)-(\d+)/.*")
SLIM = re.compile(r"FeatureExtractor/(?:Mobilenet|Inception|resnet_v1_).*/BatchNorm")  # lies in its convolution's scope
BACKBONE = re.compile(
    r"(model/_feature_extractor/(?:classification_backbone|_efficientnet)/layer_with_weights-(\d+))/(depthwise_kernel|kernel)"
)
TOWER = re.compile(r"model/_box_predictor/_head_scope_conv_layers/(?:Box|Class)?PredictionTower/(\d+)/.*")
# Forms of what makes feature maps: by the feature extractor's type, and by the names of variables.
FORMS = {
    "a bidirectional feature pyramid (BiFPN)": (r".*_bifpn(_keras)?", r"model/_feature_extractor/_bifpn_stage/.*"),
    "a feature pyramid (FPN)": (
        r".*_fpn(_keras)?",
        r"model/_feature_extractor/_fpn_features_generator/.*|FeatureExtractor/[^/]+/fpn/.*",
    ),
    "no feature pyramid": (
        r"ssd_mobilenet_v[12](_keras)?|ssd_inception_v[23]",
        r"model/_feature_extractor/feature_map_generator/.*|FeatureExtractor/[^/]+/layer_\d+_\d+_Conv2d_.*",
    ),
}
# TF1's backbones: by the feature extractor's type, the name of their scope.
SCOPES = {
    "mobilenet_v1": "MobilenetV1",
    "mobilenet_v2": "MobilenetV2",
    "mobilenet_v3": "MobilenetV3",
    "inception_v2": "InceptionV2",
    "inception_v3": "InceptionV3",
    "resnet50_v1": "resnet_v1_50",
    "resnet101_v1": "resnet_v1_101",
    "resnet152_v1": "resnet_v1_152",
}
# A kernel of TF1 whose width shows the depth multiplier: its values at 1.0.
TF1_WIDTHS = {
    "FeatureExtractor/MobilenetV1/Conv2d_5_pointwise/weights": 256,
    "FeatureExtractor/MobilenetV2/expanded_conv_6/project/weights": 64,
}
WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.25, 1.3, 1.4)


def check_fit(variables: Mapping[str, Variable], pipeline: Pipeline, config: Path, prefix: Path, anchors: Sequence[int]) -> None:
    """Refuse a checkpoint of another network than the configuration's, or of a part of it. `anchors`: those of its heads."""
    shapes = {plain: variable.shape for name, variable in variables.items() if not SLOT.search(plain := plain_name(name))}
    if missing := missing_parts(shapes):
        raise parts_missing(prefix, missing)
    if pipeline.architecture != "ssd":
        return

    def unfit(says: str, has: str, cause: str = OTHER_TRAINING) -> SourceError:
        return SourceError(f"{config} says {says}, but the checkpoint {prefix} {has}", cause=cause, remedy=SAME_TRAINING)

    _check_form(shapes, pipeline.feature_extractor, unfit)
    _check_scope(shapes, pipeline, unfit)
    _check_backbone(shapes, pipeline, unfit)
    _check_predictor(shapes, pipeline, unfit)
    _check_levels(shapes, pipeline, unfit)
    _check_anchors(pipeline, anchors, unfit)


def check_named(prefix: Path, variables: Mapping[str, Variable]) -> None:
    """Refuse a checkpoint without a variable that it names itself: TF2 stores the graph of the objects that were saved."""
    if TF2_ROOT not in variables:
        return
    [(_, value, sound)] = read_values(prefix, {TF2_ROOT: variables[TF2_ROOT]})
    if not sound:  # the check of values says so
        return
    objects = read_message(read_string(value)).children(1)
    named = [attribute.text(3) for each in objects for attribute in each.children(2)]
    if missing := [
        plain_name(name) for name in dict.fromkeys(named) if name not in variables and not SLOT.search(plain_name(name))
    ]:
        raise parts_missing(prefix, missing)


def parts_missing(prefix: Path, names: Sequence[str]) -> SourceError:
    what = f"{prefix} lacks {amount(len(names), 'variable', 'variables')} of its model: {list_names(names)}"
    cause = "somebody removed them from the checkpoint, or a program copied only some of its variables"
    return SourceError(what, cause=cause, remedy="give the checkpoint that the training wrote")


def missing_parts(names: Iterable[str]) -> list[str]:
    """Variables whose neighbours are there: parts of a layer, and layers whose numbers are left out."""
    leaves = defaultdict(set)
    numbers = defaultdict(set)
    for name in names:
        layer, _, leaf = name.rpartition("/")
        leaves[layer].add(leaf)
        if found := NUMBERED.fullmatch(name):
            numbers[found[1]].add(int(found[2]))
    scaled = _scaled(leaves)
    missing = []
    for layer, held in leaves.items():
        wanted: set[str] = set()
        if held & {"gamma", *NORMAL[1:]}:
            wanted = {*NORMAL, "gamma"} if _section(layer) in scaled else {*NORMAL}
        elif "pointwise_kernel" in held:
            wanted = {"depthwise_kernel"}
        elif held == {"bias"}:
            wanted = {"kernel"}
        elif held == {"biases"}:
            wanted = {"weights"}
        missing += [f"{layer}/{leaf}" for leaf in sorted(wanted - held)]
        if SLIM.fullmatch(layer) and not leaves.get(parent := layer.rpartition("/")[0]):
            missing.append(f"{parent}/weights")
    for parent, held_numbers in numbers.items():
        missing += [f"{parent}-{number}" for number in range(min(held_numbers), max(held_numbers)) if number not in held_numbers]
    return missing


def _section(layer: str) -> str:
    return "/".join(layer.split("/")[:3])


def _scaled(leaves: Mapping[str, set[str]]) -> set[str]:
    """Sections of the network in which batch normalisations have a gamma."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for layer, held in leaves.items():
        if "moving_mean" in held:
            counts[_section(layer)]["gamma" in held] += 1
    return {section for section, (without, having) in counts.items() if having > without}


Unfit = Callable[..., SourceError]


def _check_form(shapes: Mapping[str, tuple[int, ...]], extractor: str, unfit: Unfit) -> None:
    wanted = next((form for form, (types, _) in FORMS.items() if re.fullmatch(types, extractor)), "")
    for form, (_, names) in FORMS.items():
        first = next((name for name in shapes if re.fullmatch(names, name)), "")
        if wanted and first:
            if form != wanted:
                raise unfit(f"feature_extractor {extractor!r}, which has {wanted}", f"has {form}: {first}")
            return


def _check_scope(shapes: Mapping[str, tuple[int, ...]], pipeline: Pipeline, unfit: Unfit) -> None:
    """TF1's backbones have names, and a kernel shows their width."""
    extractor, layers = pipeline.feature_extractor, pipeline.layers
    wanted = next((scope for part, scope in SCOPES.items() if part in extractor), "")
    found = {parts[1] for name in shapes if (parts := name.split("/"))[0] == "FeatureExtractor" and len(parts) > 2}
    other = sorted(found & set(SCOPES.values()))
    if wanted and other and wanted not in found:
        raise unfit(f"feature_extractor {extractor!r}", f"has another backbone: FeatureExtractor/{other[0]}/")
    for name, values in TF1_WIDTHS.items():
        if name in shapes and len(shapes[name]) == 4:
            width = shapes[name][3]
            expected = max(int(values * layers.depth_multiplier + 4) // 8 * 8, layers.min_depth)
            if abs(width - expected) >= 8:
                shown = f"has {name} with {width} values, expected {expected}"
                raise unfit(f"depth_multiplier {layers.depth_multiplier:g}", shown, f"it has depth_multiplier {width / values:.2g}")


def _backbone(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The values that come out of each kernel of a TF2 backbone, in the order of its layers."""
    found = {}
    for name, shape in shapes.items():
        match = BACKBONE.fullmatch(name)
        if match and len(shape) == 4 and f"{match[1]}/bias" not in shapes:
            found[int(match[2])] = (name, shape[2] if match[3] == "depthwise_kernel" else shape[3])
    return dict(found[number] for number in sorted(found))


def _check_backbone(shapes: Mapping[str, tuple[int, ...]], pipeline: Pipeline, unfit: Unfit) -> None:
    extractor, layers = pipeline.feature_extractor, pipeline.layers
    found = _backbone(shapes)
    wanted = kernels_of(extractor, layers)
    values = list(found.values())
    if not found or not wanted or values == wanted:
        return
    says = f"feature_extractor {extractor!r} with depth_multiplier {layers.depth_multiplier:g}"
    differing = next(((name, has, want) for (name, has), want in zip(found.items(), wanted, strict=False) if has != want), None)
    has = f"has a backbone of {len(found)} kernels, expected {len(wanted)}"
    if differing:
        has = f"has another backbone: {differing[0]} gives {differing[1]} values, expected {differing[2]}"
    for width in WIDTHS:
        if kernels_of(extractor, replace(layers, depth_multiplier=width)) == values:
            raise unfit(says, has, f"its kernels are those of depth_multiplier {width:g}")
    for other in KERAS_EXTRACTORS:
        if any(kernels_of(other, replace(layers, depthwise=depthwise)) == values for depthwise in (False, True)):
            raise unfit(says, has, f"its kernels are those of {other!r}")
    raise unfit(says, has)


def _check_predictor(shapes: Mapping[str, tuple[int, ...]], pipeline: Pipeline, unfit: Unfit) -> None:
    own = next((name for name in shapes if re.match(r"model/.*/box_encodings/\d+/_box_encoder|BoxPredictor_\d+/", name)), "")
    one = next((name for name in shapes if re.match(r"model/.*/_box_prediction_head/|WeightSharedConv", name)), "")
    shared = pipeline.layers.shared_predictor
    if shared and own and not one:
        raise unfit("weight_shared_convolutional_box_predictor", f"has a predictor for each feature map: {own}")
    if shared is False and one and not own:
        raise unfit("convolutional_box_predictor", f"has one predictor for all feature maps: {one}")
    tower = {int(found[1]) for name in shapes if (found := TOWER.fullmatch(name))}
    if shared and tower and len(tower) != pipeline.layers.tower:
        says = f"num_layers_before_predictor {pipeline.layers.tower}"
        raise unfit(says, f"has {len(tower)}: model/_box_predictor/_head_scope_conv_layers/")


def _check_levels(shapes: Mapping[str, tuple[int, ...]], pipeline: Pipeline, unfit: Unfit) -> None:
    """A pyramid of TF2 has a block for each level of the backbone but the highest, and a layer for each level above 5."""
    low, high = pipeline.layers.pyramid_levels
    generator = "model/_feature_extractor/_fpn_features_generator"
    blocks = {found[1] for name in shapes if (found := re.match(rf"{generator}/residual_blocks/(\d+)/", name))}
    coarse = {found[1] for name in shapes if (found := re.match(r"model/_feature_extractor/_coarse_feature_layers/(\d+)/", name))}
    if blocks and (len(blocks), len(coarse)) != (min(high, 5) - low, max(high - 5, 0)):
        top = 5 + len(coarse)
        has = f"has levels {min(top, 5) - len(blocks)} to {top}" if coarse else f"has {len(blocks) + 1} levels"
        raise unfit(f"fpn levels {low} to {high}", has)
    if re.fullmatch(r".*_fpn_keras", pipeline.feature_extractor) and pipeline.layers.anchor_levels not in (None, (low, high)):
        lowest, highest = pipeline.layers.anchor_levels or (low, high)
        cause = "one of the two was changed after the training: they must be the same"
        raise unfit(
            f"levels {lowest} to {highest} in anchor_generator and {low} to {high} in fpn", "can have only one of them", cause
        )


def _check_anchors(pipeline: Pipeline, anchors: Sequence[int], unfit: Unfit) -> None:
    wanted = pipeline.layers.anchors
    if not wanted or not anchors:
        return
    fits = set(anchors) == set(wanted) if 1 in (len(anchors), len(wanted)) else tuple(anchors) == wanted
    if not fits:
        says = f"{' + '.join(map(str, dict.fromkeys(wanted) if len(set(wanted)) == 1 else wanted))} anchors for each place"
        held = " + ".join(map(str, dict.fromkeys(anchors) if len(set(anchors)) == 1 else anchors))
        cause = "aspect_ratios, scales_per_octave or num_layers of anchor_generator were changed after the training"
        raise unfit(f"{says} of the feature maps (anchor_generator)", f"has {held}, by the biases of its box heads", cause)
