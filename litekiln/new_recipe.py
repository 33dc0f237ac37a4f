"""The files that `inv new` writes for people to read and edit: a model's recipe, and what its picture sets are."""

from litekiln.recipes import INTEGER_VARIANTS

FLOAT_VARIANTS = ("float32", "float16", "dynamic")
UNKNOWN_LICENSE = "NOASSERTION"  # SPDX's word for it
ASK_LICENSE = '   # not known: write what it may be used under, as an SPDX name such as "Apache-2.0"'

RECIPE_TEXT = """\
# Made by `inv new` from {origin}.
[source]
kind    = "tf2-detection"
folder  = "source"{pad}   # pipeline.config, and the checkpoint in checkpoint/
license = "{license}"{ask}

[export]
toolchain      = "tf2.13"
max_detections = 10

[convert]
toolchains = ["tf2.13", "tf2.21", "nightly"]   # the next one is tried for what the one before refuses
variants   = [{variants}]
{pictures}
[labels]
file = "{labels}"
"""
CALIBRATION = """
[calibration]
set = "{name}"
"""
EVALUATION = """
[evaluation]
set = "{name}/eval"
"""
VERIFY = """
[verify]
max_map_drop = 1.5   # what a variant may lose of float32's mAP, in points
"""
ADD_PICTURES = """\
# {integer} need pictures of what the model will see, 100 or more. Put them into
# calib/{name}/pictures/, write the line `folder = "pictures"` into calib/{name}/set.toml, add the variants above, and here:
# [calibration]
# set = "{name}"
"""
PICTURES_TEXT = """\
# Pictures to calibrate with, copied by `inv new` from {origin}. Add and remove as you like: 100 or more are good, of more than
# 500 that many are chosen, the same ones each time.
folder = "pictures"
"""
EVALUATION_TEXT = """\
# Pictures with boxes to evaluate on, made by `inv new` from {origin} (form: {format}).
folder = "."   # images/, and annotations.json in COCO's form
"""


def recipe_text(*, name: str, origin: str, license: str, labels: str, calibrated: bool, evaluated: bool) -> str:  # noqa: A002
    """A recipe for a checkpoint beside it."""
    license = license or UNKNOWN_LICENSE  # noqa: A001
    listed = INTEGER_VARIANTS[:-1]
    add = ADD_PICTURES.format(name=name, integer=f"{', '.join(listed)} and {INTEGER_VARIANTS[-1]}")
    pictures = (CALIBRATION if calibrated else add) + (EVALUATION if evaluated else "")
    text = RECIPE_TEXT.format(
        origin=one_line(origin),
        license=license,
        ask=ASK_LICENSE if license == UNKNOWN_LICENSE else "",
        pad=" " * (len(license) - len("source")),
        variants=", ".join(f'"{variant}"' for variant in variants(calibrated=calibrated)),
        pictures=pictures.format(name=name),
        labels=labels,
    )
    return text + (VERIFY if evaluated else "")


def variants(*, calibrated: bool) -> tuple[str, ...]:
    return (*FLOAT_VARIANTS, *(INTEGER_VARIANTS if calibrated else ()))


def one_line(text: str) -> str:
    """A name as it may stand in a comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
