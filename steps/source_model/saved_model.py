"""One signature of a SavedModel, as a call that takes a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import protocol
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

import machine_faults
from source_model import exporting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT = "serving_default"
NO_SIGNATURE = "__saved_model_init_op"
SERVING_EXPORT = {"detection_boxes", "num_detections", "raw_detection_scores"}
DETECTION_API = (
    "this is the Object Detection API's export for servers (%s %s in, of any size): its boxes can't be converted. Give the "
    'checkpoint that lies beside it: the folder with pipeline.config and checkpoint/, as a source of kind "tf2-detection"'
)
FLOAT_REMEDY = (
    "Save a signature that takes float32 and casts inside, if at all: tf.TensorSpec([1, height, width, 3], tf.float32); "
    "with [input] mean = 0, std = 1 it gets the same pixels"
)
SIZE_REMEDY = "Save it with a signature of fixed size: tf.TensorSpec([1, 320, 320, 3], tf.float32)"


def load(args: dict[str, Any]) -> tuple[Callable[[Any], Any], Any, dict[str, str]]:
    """The signature as a call, its input, and the digests of the SavedModel's own weights."""
    return load_signature(args)[:3]


def load_signature(args: dict[str, Any]) -> tuple[Callable[[Any], Any], Any, dict[str, str], str]:
    """The same as `load`, and the signature's name."""
    folder = protocol.input_path("model")
    exporting.check_not_newer(_written(folder))
    try:
        loaded = tf.saved_model.load(folder)
    except Exception as error:
        machine_faults.pass_on(error)
        reason = str(error).strip().partition("\n")[0][:300]
        raise protocol.Refused("TensorFlow %s can't load the SavedModel: %s" % (tf.__version__, reason)) from error
    name = _choose(loaded.signatures, args["signature"])
    signature = loaded.signatures[name]
    inputs = signature.structured_input_signature[1]
    _refuse_serving_export(inputs, signature.structured_outputs)
    entry, spec = exporting.picture_input(inputs, FLOAT_REMEDY, SIZE_REMEDY)

    def call(image: Any) -> Any:
        return signature(**{entry: image})

    call.owner = loaded  # type: ignore[attr-defined]  # keeps its weights alive
    return call, spec, _weights(folder), name


def _written(folder: str) -> str:
    """The version of TensorFlow that wrote it, read without loading it: loading a newer one fails with an unclear message."""
    path = os.path.join(folder, "saved_model.pb")
    if not os.path.isfile(path):
        there = exporting.folder_or_file(folder)
        raise protocol.Refused("this is no SavedModel but %s: give the folder with saved_model.pb" % there)
    parsed = saved_model_pb2.SavedModel()
    with open(path, "rb") as stream:
        try:
            parsed.ParseFromString(stream.read())
        except DecodeError:
            raise protocol.Refused("saved_model.pb is damaged: copy the folder again") from None
    if not parsed.meta_graphs:
        raise protocol.Refused("saved_model.pb holds no graph: save the model again")
    return parsed.meta_graphs[0].meta_info_def.tensorflow_version or "1.0"


def _choose(signatures: Iterable[str], wanted: str) -> str:
    """The name of the signature to export: the recipe's, else the usual one, else the only one."""
    names = sorted(name for name in signatures if name != NO_SIGNATURE)
    if wanted:
        if wanted not in names:
            raise protocol.Refused("the SavedModel has no signature %r; it has: %s" % (wanted, ", ".join(names) or "none"))
        return wanted
    if not names:
        raise protocol.Refused(
            "the SavedModel has no signature: save it with one, tf.saved_model.save(model, folder, signatures=the tf.function)"
        )
    if DEFAULT in names or len(names) == 1:
        return DEFAULT if DEFAULT in names else names[0]
    raise protocol.Refused(
        'the SavedModel has %d signatures, %s: say which in its model.toml, [source] signature = "%s"'
        % (len(names), ", ".join(names), names[0])
    )


def _refuse_serving_export(inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    if set(outputs) >= SERVING_EXPORT:
        [entry] = list(inputs.values())[:1] or [tf.TensorSpec([], tf.uint8)]
        raise protocol.Refused(DETECTION_API % (tf.as_dtype(entry.dtype).name, entry.name or "picture"))


def _weights(folder: str) -> dict[str, str]:
    """The digests of the values in its variables/, by name; none for a SavedModel without variables."""
    prefix = os.path.join(folder, "variables", "variables")
    if not os.path.exists(prefix + ".index"):
        return {}
    source = tf.train.load_checkpoint(prefix)
    names = [name for name in source.get_variable_to_shape_map() if not name.startswith("_CHECKPOINTABLE")]
    trained = [name for name in names if ".OPTIMIZER_SLOT" not in name and not name.startswith("save_counter")]
    return exporting.digests({name: source.get_tensor(name) for name in trained})
