"""The readers of SavedModels, Keras files, frozen graphs, checkpoints and .tflite, on what TensorFlow and Keras write."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from litekiln.engines.base import Job
from litekiln.engines.choose import choose_engine
from litekiln.errors import SourceError
from litekiln.formats.checkpoint import check_complete
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.sources.api_checkpoint import RANGE, find_heads
from litekiln.sources.frozen_graph import Graph, read_graph
from litekiln.sources.keras_file import read_keras
from litekiln.sources.keras_names import LAYERS
from litekiln.sources.recognise import Named, recognise
from litekiln.sources.saved_model import read_saved_model
from litekiln.sources.tflite_source import read_tflite
from litekiln.toolchains.toolchain import load_toolchain

MODERN = """
import inspect, json, os
import tensorflow as tf
keras = tf.keras
own = [name for name, each in vars(__import__("keras").layers).items()
       if inspect.isclass(each) and issubclass(each, keras.layers.Layer)]
json.dump(own, open("out/layers.json", "w"))

@keras.utils.register_keras_serializable(package="mine")
class Scale(keras.layers.Layer):
    def call(self, pixels):
        return pixels * 2.0

def double(pixels):
    return pixels * 2.0

def save(name, *layers):
    net = keras.Sequential([keras.layers.Input((48, 64, 3)), keras.layers.Conv2D(64, 3, activation="relu"), *layers])
    net.save("out/%s.keras" % name)
    net.save("out/%s.h5" % name)
    return net

net = save("plain", keras.layers.BatchNormalization(), keras.layers.TimeDistributed(keras.layers.Dense(4)))
net.save_weights("out/net.weights.h5")
save("scale", Scale())
save("function", keras.layers.Activation(double))
save("lambda", keras.layers.Lambda(lambda pixels: pixels + 1))
photo = keras.Input((48, 64, 3), name="photo")
half = keras.layers.Conv2D(8, 3, padding="same")(photo)
whole = keras.layers.Add()([half * 0.5, half])
for suffix in (".h5", ".keras"):
    keras.Model(photo, keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])(whole)).save("out/graph" + suffix)
keras.Model(photo, half[..., :4]).save("out/sliced.h5")

class Two(tf.Module):
    def __init__(self):
        self.weight = tf.Variable([1.0, 2.0, 3.0])
    @tf.function(input_signature=[tf.TensorSpec([1, 48, 64, 3], tf.float32, name="photo")])
    def one(self, photo):
        return {"heat": photo * self.weight, "count": tf.constant([1.0])}
    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])
    def two(self, input_tensor):
        names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
        return {name: tf.zeros([1, 4]) for name in names}

both = Two()
tf.saved_model.save(both, "out/both", signatures={"one": both.one, "two": both.two})
tf.saved_model.save(both, "out/single", signatures=both.one)
tf.saved_model.save(both, "out/none")

converter = tf.lite.TFLiteConverter.from_keras_model(net)
for name, kind in (("float32", None), ("dynamic", None), ("float16", tf.float16)):
    if name != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [kind] if kind else []
    open("out/%s.tflite" % name, "wb").write(converter.convert())
"""
LEGACY = """
import os
import tensorflow.compat.v1 as tf
from tensorflow.contrib import quantize, slim

photo = tf.placeholder(tf.float32, [1, 48, 64, 3], name="normalized_input_image_tensor")
with slim.arg_scope([slim.conv2d], normalizer_fn=slim.batch_norm, normalizer_params={"is_training": False}):
    net = slim.conv2d(photo, 8, [3, 3], scope="FeatureExtractor/MobilenetV2/Conv", activation_fn=tf.nn.relu6)
    net = slim.conv2d(net, 4, [1, 1], scope="BoxPredictor_0/ClassPredictor", normalizer_fn=None, activation_fn=None)
quantize.experimental_create_eval_graph(weight_bits=8, activation_bits=8)
tf.identity(net, name="raw_outputs/box_encodings")
tf.identity(net, name="raw_outputs/class_predictions")
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    tf.train.Saver().save(session, "out/checkpoint/model.ckpt-7")
    names = ["raw_outputs/box_encodings", "raw_outputs/class_predictions"]
    frozen = tf.graph_util.convert_variables_to_constants(session, session.graph_def, names)
    tf.saved_model.simple_save(session, "out/saved_model", {"photo": photo}, {"net": net})
open("out/raw.pb", "wb").write(frozen.SerializeToString())
node = frozen.node.add(op="TFLite_Detection_PostProcess", name="TFLite_Detection_PostProcess")
node.attr["num_classes"].i, node.attr["max_detections"].i = 3, 20
open("out/tflite_graph.pb", "wb").write(frozen.SerializeToString())
with tf.Graph().as_default() as graph:
    tf.identity(tf.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor"), name="detection_boxes")
    open("out/frozen_inference_graph.pb", "wb").write(graph.as_graph_def().SerializeToString())
"""
KERAS = {"tf2.13": "2.13.1", "tf2.21": "3."}
PLAIN = ("plain", "graph")
engines = pytest.mark.parametrize("engine", ["venv"])
modern = pytest.mark.parametrize("toolchain", ["tf2.13", "tf2.21"])


@pytest.fixture
def write(engine: str, project: Project, tmp_path: Path) -> Callable[[str, str], Path]:
    """Run a program in a toolchain; where it wrote is handed back."""

    def run(toolchain: str, program: str) -> Path:
        script, output = tmp_path / "program.py", tmp_path / "output"
        script.write_text(program, encoding="utf-8")
        output.mkdir()
        job = Job(
            argv=("python", "program.py"),
            files={"program.py": script},
            output=output,
            log=tmp_path / "log",
            timeout=300,
            label="test",
        )
        with (
            Lease(project.state) as lease,
            choose_engine(engine, project, lease, print).open(load_toolchain(project, toolchain), print) as box,
        ):
            outcome = box.run(job, lambda _: None)
        assert outcome.ok, outcome
        return output

    return run


@engines
@modern
def test_what_a_modern_tensorflow_writes_is_read(toolchain: str, write: Callable[[str, str], Path]) -> None:
    """One run, since loading TensorFlow takes the time. The weights are many enough for a dynamic model to store them in 8 bits."""
    written = write(toolchain, MODERN)
    _check_keras(toolchain, written)
    _check_saved_models(toolchain, written)
    for variant in ("float32", "dynamic", "float16"):
        found = read_tflite(written / f"{variant}.tflite")
        assert (found.variant, found.height, found.width, found.postprocess) == (variant, 48, 64, False)


def _check_keras(toolchain: str, written: Path) -> None:
    assert set(json.loads((written / "layers.json").read_text())) <= LAYERS
    for name in (*PLAIN, "scale", "function", "lambda"):
        for suffix in (".keras", ".h5"):
            found = read_keras(written / f"{name}{suffix}")
            assert found.version.startswith(KERAS[toolchain])
            assert (found.suffix, found.height, found.width) == (suffix, 48, 64)
            assert len(found.packed) == (name == "lambda"), (name, suffix)
            if name in PLAIN:
                assert found.custom == [], (name, suffix)
    assert [read_keras(written / f"scale{suffix}").custom for suffix in (".keras", ".h5")] == [["mine>Scale"]] * 2
    assert read_keras(written / "function.keras").custom == ["double"]
    # Keras 3 writes its own operations into a .h5 by names that it then does not know itself.
    assert read_keras(written / "sliced.h5").custom == ([] if toolchain == "tf2.13" else ["GetItem"])
    with pytest.raises(SourceError, match="holds weights, but no model"):
        read_keras(written / "net.weights.h5")


def _check_saved_models(toolchain: str, written: Path) -> None:
    both = read_saved_model(written / "both")
    assert both.tensorflow.startswith(toolchain.removeprefix("tf"))
    assert {name: each.from_training for name, each in both.signatures.items()} == {"one": False, "two": True}
    one = both.signatures["one"]
    assert [str(each) for each in one.inputs] == ["photo float32 [1, 48, 64, 3]"]
    assert [str(each) for each in one.outputs] == ["count float32 [1]", "heat float32 [1, 48, 64, 3]"]
    assert [str(each) for each in both.signatures["two"].inputs] == ["input_tensor uint8 [1, ?, ?, 3]"]
    found = recognise(written / "both", Named(signature="one"))
    assert (found.kind, found.height, found.width, found.newer) == ("saved-model", 48, 64, toolchain != "tf2.13")
    assert recognise(written / "single").signature == "serving_default"
    with pytest.raises(SourceError, match="has no signature"):
        recognise(written / "none")
    (written / "single" / "variables" / "variables.index").unlink()
    with pytest.raises(SourceError, match="the weights are missing"):
        recognise(written / "single")


@engines
@pytest.mark.parametrize("toolchain", ["tf1.15"])
def test_what_tf1_writes_is_read(toolchain: str, write: Callable[[str, str], Path]) -> None:
    written = write(toolchain, LEGACY)
    assert read_graph(written / "raw.pb") == Graph(48, 64, False, 0, 0, True)
    assert read_graph(written / "tflite_graph.pb") == Graph(48, 64, True, 3, 20, True)
    with pytest.raises(SourceError, match="is a frozen graph for servers"):
        read_graph(written / "frozen_inference_graph.pb")
    variables = check_complete(written / "checkpoint" / "model.ckpt-7")
    learned = sorted(name for name in variables if re.fullmatch(RANGE, name))
    assert "FeatureExtractor/MobilenetV2/Conv/weights_quant/min" in learned
    assert any("act_quant" in name for name in learned)
    assert find_heads(variables, 4) == []
    assert recognise(written / "saved_model").signature == "serving_default"


CENTER_NET = '''
import os
from google.protobuf import text_format
import tensorflow as tf
keep = tf.keras.Model.load_weights
for module in (__import__("keras.src.applications.mobilenet_v2", fromlist=["x"]),):
    module.data_utils.get_file = lambda *given, **named: ""  # the weights of ImageNet: no step has a network, and none is needed
tf.keras.Model.load_weights = lambda self, path, *given, **named: None if path == "" else keep(self, path, *given, **named)
from object_detection.builders import model_builder
from object_detection.protos import pipeline_pb2
text = """CONFIG"""
config = text_format.Parse(text, pipeline_pb2.TrainEvalPipelineConfig())
model = model_builder.build(config.model, is_training=False)
model.predict(*model.preprocess(tf.zeros([1, 128, 128, 3])))
os.mkdir("out/checkpoint")
tf.train.Checkpoint(model=model).write("out/checkpoint/ckpt-0")
open("out/pipeline.config", "w").write(text)
'''
CENTER_CONFIG = """
model { center_net { num_classes: 7 use_depthwise: true feature_extractor { type: "mobilenet_v2_fpn_sep_conv" }
  image_resizer { keep_aspect_ratio_resizer { min_dimension: 128 max_dimension: 128 pad_to_max_dimension: true } }
  object_detection_task { localization_loss { l1_localization_loss {} } }
  object_center_params { classification_loss { penalty_reduced_logistic_focal_loss {} } max_box_predictions: 20 } } }
"""


@engines
@pytest.mark.toolchain("tf2.13")
def test_a_center_net_s_class_head_is_found(write: Callable[[str, str], Path]) -> None:
    output = write("tf2.13", CENTER_NET.replace("CONFIG", CENTER_CONFIG))
    found = recognise(output)
    assert found.notes == []
    assert found.checkpoint
    assert (found.kind, found.classes, found.width) == ("tf2-detection", 7, 128)
    (output / "pipeline.config").write_text(CENTER_CONFIG.replace("num_classes: 7", "num_classes: 8"), encoding="utf-8")
    with pytest.raises(SourceError, match=r"says num_classes 8, but the checkpoint .* was trained with 7"):
        recognise(output)
