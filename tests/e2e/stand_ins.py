"""What a reader of the docs has where they say mine, photos or X.tflite: each puts it into a clone."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from tests.e2e.conftest import Built, share_store, stored
from tests.e2e.test_shapes import in_toolchain
from tests.helpers.checkpoints import tf1_shapes, write_checkpoint

SHAPES = ROOT / "models" / "shapes"
TF1_CONFIG = """
model { ssd { num_classes: 3 feature_extractor { type: "ssd_mobilenet_v2" }
  image_resizer { fixed_shape_resizer { height: 128 width: 128 } } } }
graph_rewriter { quantization { weight_bits: 8 activation_bits: 8 } }
"""
RANGES = {f"FeatureExtractor/MobilenetV2/Conv/{name}_quant/{end}": () for name in ("act", "weights") for end in ("min", "max")}
BLURRED = """
import sys; sys.path.insert(0, sys.argv[1])
import layers, tensorflow as tf
image = tf.keras.layers.Input((32, 32, 3), name="picture")
value = layers.Blur(name="blur")(tf.keras.layers.Conv2D(8, 3, strides=2, name="first")(image))
tf.keras.Model(image, tf.keras.layers.Conv2D(3, 1, name="heat")(value)).save(sys.argv[2])
print("written")
"""
RECIPE = """
[source]
{source}
license = "Apache-2.0"
[input]
mean = 0
std = 255
[export]
toolchain = "tf2.13"
[convert]
toolchains = ["tf2.13"]
variants = ["float32"]
"""
FINISHED = """
[source]
kind = "tflite"
file = "model.tflite"
license = "Apache-2.0"
[convert]
toolchains = ["tf2.13"]
variants = ["int8-io"]
"""


@dataclass(frozen=True)
class Given:
    """Where stand-ins come from."""

    demo: Callable[[], Built]  # built when it is asked for
    examples: Path  # the store that builds of the example models share


def _environments(clone: Path, _: Given) -> None:
    """Those of this checkout: they take minutes to make, and other tests make them."""
    (ROOT / ".litekiln" / "envs").mkdir(parents=True, exist_ok=True)
    (clone / ".litekiln" / "envs").symlink_to(ROOT / ".litekiln" / "envs")


def _store(clone: Path, given: Given) -> None:
    _copy(given.demo()[0] / ".litekiln" / "store", clone / ".litekiln" / "store")


def _examples(clone: Path, given: Given) -> None:
    share_store(clone, given.examples)


def _bundles(clone: Path, given: Given) -> None:
    _copy(given.demo()[0] / "out", clone / "out")


def _mine(clone: Path, _: Given) -> None:
    shutil.copytree(SHAPES, clone / "models" / "mine")


def _training(clone: Path, _: Given) -> None:
    """As the training loop leaves it: one checkpoint of several, and beside it the configuration."""
    (clone / "training").mkdir()
    shutil.copyfile(SHAPES / "source" / "pipeline.config", clone / "training" / "pipeline.config")
    for path in (SHAPES / "source" / "checkpoint").glob("ckpt-0.*"):
        shutil.copyfile(path, clone / "training" / path.name.replace("ckpt-0", "ckpt-12"))
    shutil.copyfile(SHAPES / "labels.pbtxt", clone / "labels.pbtxt")


def _tf1_training(clone: Path, _: Given) -> None:
    write_checkpoint(clone / "training" / "model.ckpt", {**tf1_shapes(4), **RANGES})
    (clone / "training" / "pipeline.config").write_text(TF1_CONFIG, encoding="utf-8")
    shutil.copyfile(SHAPES / "labels.pbtxt", clone / "labels.pbtxt")


def _photos(clone: Path, given: Given) -> None:
    """The demo's pictures, and its held-out ones with boxes."""
    _copy(stored(given.demo(), "draw shapes") / "images", clone / "photos")
    _copy(stored(given.demo(), "draw shapes/eval"), clone / "checked")


def _file(clone: Path, given: Given) -> None:
    shutil.copyfile(_bundle(given, "int8") / "detect.tflite", clone / "X.tflite")


def _bare_file(clone: Path, given: Given) -> None:
    """A file without metadata, as converters leave it."""
    shutil.copyfile(stored(given.demo(), "convert int8") / "detect.tflite", clone / "fpnlite.tflite")
    shutil.copyfile(_bundle(given, "int8") / "labelmap.txt", clone / "names.txt")


def _cut(clone: Path, given: Given) -> None:
    (clone / "cut.json").write_bytes((_bundle(given, "int8") / "report.json").read_bytes()[:1000])


def _finished_file(clone: Path, given: Given) -> None:
    folder = _model(clone, "pub", FINISHED)
    shutil.copyfile(_bundle(given, "int8-io") / "detect.tflite", folder / "model.tflite")


def _layer(clone: Path, _: Given) -> None:
    """A Keras file with a layer whose code is not in it."""
    folder = _model(clone, "mine", RECIPE.format(source='kind = "keras"\nfile = "model.keras"'))
    assert in_toolchain(BLURRED, str(ROOT / "tests" / "sources"), str(folder / "model.keras")) == "written"


def _code(clone: Path, _: Given) -> None:
    """That code, and where the recipe names it."""
    recipe = clone / "models" / "mine" / "model.toml"
    recipe.write_text(recipe.read_text().replace("license", 'custom = "layers.py"\nlicense'), encoding="utf-8")
    shutil.copyfile(ROOT / "tests" / "sources" / "layers.py", recipe.with_name("layers.py"))


def _function(clone: Path, _: Given) -> None:
    """A function with an operator that TFLite lacks."""
    folder = _model(clone, "mine", RECIPE.format(source='kind = "function"\nfolder = "source"\nfunction = "functions:flex"'))
    (folder / "source").mkdir()
    shutil.copyfile(ROOT / "tests" / "sources" / "functions.py", folder / "source" / "functions.py")


def _shallow(clone: Path, _: Given) -> None:
    """The newest commit only, as actions/checkout makes it."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    (clone / ".git" / "shallow").write_text(head.stdout)


def _model(clone: Path, name: str, recipe: str) -> Path:
    folder = clone / "models" / name
    folder.mkdir()
    (folder / "model.toml").write_text(recipe, encoding="utf-8")
    return folder


def _bundle(given: Given, variant: str) -> Path:
    return given.demo()[0] / "out" / "shapes" / variant


def _copy(source: Path, target: Path) -> None:
    """Hard links where they can be had: the store is large, and times have to stay."""
    try:
        shutil.copytree(source, target, copy_function=os.link)
    except (OSError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)


STAND_INS: dict[str, Callable[[Path, Given], None]] = {
    "environments": _environments,
    "demo's store": _store,
    "examples' store": _examples,
    "demo's bundles": _bundles,
    "models/mine": _mine,
    "training": _training,
    "TF1's training": _tf1_training,
    "photos": _photos,
    "X.tflite": _file,
    "fpnlite.tflite": _bare_file,
    "cut.json": _cut,
    "a finished file": _finished_file,
    "a layer of one's own": _layer,
    "its code": _code,
    "a function": _function,
    "a shallow clone": _shallow,
}
