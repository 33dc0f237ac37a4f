"""Operators that are not built into TFLite, and the chip or the runtime that has them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    """Where such operators run; `name` follows "it only runs"."""

    name: str
    remedy: str


def _chip(name: str) -> Runtime:
    return Runtime(name, "elsewhere take the file that it was compiled from; this one can't be turned back")


MEDIAPIPE = Runtime(
    "in MediaPipe, which brings these operators", "run it with MediaPipe, or build an interpreter with its operators"
)
TEXT = Runtime(
    "with TensorFlow Text's operators", "register them with the interpreter (tensorflow_text, or LiteRT's text libraries)"
)
SOUND = Runtime(
    "with TFLite's custom operators for sound", "register them with the interpreter: the standard Python packages have them"
)

KNOWN = (
    (r"edgetpu-custom-op", _chip("on a Coral Edge TPU, for which it was compiled")),
    (r"ethos-u", _chip("on an Arm Ethos-U NPU, for which Vela compiled it")),
    (r"neutron\w*", _chip("on NXP's eIQ Neutron NPU, for which it was compiled")),
    (r"vsi-npu", _chip("on VeriSilicon's NPU, for which it was compiled")),
    (r"DISPATCH_OP", _chip("on the NPU that LiteRT's compiler was given (Qualcomm, MediaTek, Google Tensor)")),
    (r"Convolution2DTransposeBias|MaxPoolingWithArgmax2D|MaxUnpooling2D|Landmarks?2TransformMatrix\w*", MEDIAPIPE),
    (r"Transform(?:TensorBilinear|Landmarks)\w*|Resampler|RoiToTransformMatrix\w*", MEDIAPIPE),
    (r"TFSentencepiece\w*|tftext:.*|tfsentencepiece.*|WhitespaceTokenize\w*|WordpieceTokenize\w*|ngrams", TEXT),
    (r"Mfcc|AudioSpectrogram|Signal\w+", SOUND),
)


def runtime_of(operator: str) -> Runtime | None:
    """What a custom operator needs; None if nobody here knows it."""
    return next((runtime for pattern, runtime in KNOWN if re.fullmatch(pattern, operator, re.IGNORECASE)), None)
