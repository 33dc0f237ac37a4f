"""The kernels of the backbones that the Object Detection API builds with Keras, in the order of their layers.

A kernel stands for the number of values that come out of it: with that, one backbone is told from another, and one width from
another. Layers of an attention (with a bias) don't count.
"""

import math
import re

from litekiln.formats.pipeline_layers import Layers

# The API's feature extractors for SSDs, in TF2 and in TF1.
KERAS_EXTRACTORS = (
    *(f"ssd_mobilenet_v{version}{fpn}_keras" for version in (1, 2) for fpn in ("", "_fpn")),
    *(f"ssd_resnet{depth}_v1_fpn_keras" for depth in (50, 101, 152)),
    *(f"ssd_efficientnet-b{number}_bifpn_keras" for number in range(8)),
)
TF1_EXTRACTORS = (
    *(
        "ssd_inception_v2",
        "ssd_inception_v3",
        "ssd_mobilenet_v1",
        "ssd_mobilenet_v1_fpn",
        "ssd_mobilenet_v1_ppn",
        "ssd_mobilenet_v2",
    ),
    *("ssd_mobilenet_v2_fpn", "ssd_mobilenet_v2_mnasfpn", "ssd_mobilenet_v3_large", "ssd_mobilenet_v3_small"),
    *("ssd_mobilenet_edgetpu", "ssd_mobiledet_cpu", "ssd_mobiledet_dsp", "ssd_mobiledet_edgetpu", "ssd_mobiledet_gpu"),
    *(f"ssd_resnet{depth}_v1_{pyramid}" for depth in (50, 101, 152) for pyramid in ("fpn", "ppn")),
    *("embedded_ssd_mobilenet_v1", "ssd_pnasnet", "ssd_spaghettinet"),
)
# For each block: how often, expansion of its input, values that come out.
MOBILENET_V2 = ((1, 1, 16), (2, 6, 24), (3, 6, 32), (4, 6, 64), (3, 6, 96), (3, 6, 160), (1, 6, 320))
EFFICIENTNET = ((1, 1, 16), (2, 6, 24), (2, 6, 40), (3, 6, 80), (3, 6, 112), (4, 6, 192), (1, 6, 320))
WIDER_DEEPER = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8), (1.6, 2.2), (1.8, 2.6), (2.0, 3.1))  # b0 to b7
MOBILENET_V1 = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
NARROW_END = (512, 256)  # of a MobileNet v1 below a depthwise pyramid
RESNET = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def kernels_of(extractor: str, layers: Layers) -> list[int]:
    """The values that come out of each kernel; [] for a feature extractor that is not known here."""
    if re.fullmatch(r"ssd_mobilenet_v2(_fpn)?_keras", extractor):
        return _mobilenet_v2(layers)
    if re.fullmatch(r"ssd_mobilenet_v1(_fpn)?_keras", extractor):
        return _mobilenet_v1(layers, narrow_end=layers.depthwise and "_fpn" in extractor)
    if found := re.fullmatch(r"ssd_resnet(50|101|152)_v1_fpn_keras", extractor):
        return _resnet(RESNET[int(found[1])])
    if found := re.fullmatch(r"ssd_efficientnet-b([0-7])_bifpn_keras", extractor):
        return _efficientnet(*WIDER_DEEPER[int(found[1])])
    return []


def _rounded(value: float, least: int = 8) -> int:
    """To a multiple of 8, and not more than a tenth down."""
    rounded = max(least, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _mobilenet_v2(layers: Layers) -> list[int]:
    wide, least = layers.depth_multiplier, layers.min_depth
    current = max(_rounded(32 * wide), least)
    out = [current]
    for repeated, expanded, filters in MOBILENET_V2:
        for _ in range(repeated):
            inside = current * expanded
            current = max(_rounded(int(filters * wide)), least)
            out += [inside, inside, current] if expanded > 1 else [inside, current]
    return [*out, max(_rounded(1280 * wide) if wide < 1 else 1280, least)]


def _mobilenet_v1(layers: Layers, *, narrow_end: bool) -> list[int]:
    wide, least = layers.depth_multiplier, layers.min_depth

    def width(filters: int) -> int:
        """The API multiplies what Keras has already multiplied."""
        return max(int(int(filters * wide) * wide), least)

    widths = [width(filters) for filters in MOBILENET_V1]
    if narrow_end:
        widths[-2:] = [max(int(filters * wide), least) for filters in NARROW_END]
    out = [width(32)]
    for filters in widths:
        out += [out[-1], filters]
    return out


def _resnet(stages: tuple[int, ...]) -> list[int]:
    out = [64]
    for stage, repeated in enumerate(stages):
        inside = 64 << stage
        for block in range(repeated):
            shortcut = [4 * inside] if block == 0 else []
            out += [inside, inside, *shortcut, 4 * inside]
    return out


def _efficientnet(wide: float, deep: float) -> list[int]:
    current = _rounded(32 * wide)
    out = [current]
    for repeated, expanded, filters in EFFICIENTNET:
        for _ in range(math.ceil(repeated * deep)):
            inside = current * expanded
            current = _rounded(filters * wide)
            out += [inside, inside, current] if expanded > 1 else [inside, current]
    return [*out, _rounded(1280 * wide)]
