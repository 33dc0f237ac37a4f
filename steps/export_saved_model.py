"""Export one signature of a SavedModel as the SavedModel that TFLite conversion takes: one picture in, named outputs."""

import os

import protocol
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

import exporting

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


def export(args):
    call, spec, weights, name = load_signature(args)
    result = exporting.finish(args, call, spec, weights)
    result["overrides"]["signature"] = name
    return result


def load(args):
    """The signature as a call, what it takes, and the SavedModel's own weights."""
    return load_signature(args)[:3]


def load_signature(args):
    """The same and the signature's name."""
    folder = protocol.input_path("model")
    exporting.check_not_newer(_written(folder))
    try:
        loaded = tf.saved_model.load(folder)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise protocol.Refused("TensorFlow %s can't load the SavedModel: %s" % (tf.__version__, reason)) from error
    name = _choose(loaded.signatures, args["signature"])
    signature = loaded.signatures[name]
    inputs = signature.structured_input_signature[1]
    _refuse_serving_export(inputs, signature.structured_outputs)
    entry, spec = exporting.picture_input(inputs, FLOAT_REMEDY, SIZE_REMEDY)

    def call(image):
        return signature(**{entry: image})

    call.owner = loaded  # its weights go when it goes
    return call, spec, _weights(folder), name


def _written(folder):
    """The TensorFlow that wrote it. Read without loading, which fails in its own words on what is too new."""
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


def _choose(signatures, wanted):
    """The signature that the recipe names, else the usual one, else the only one."""
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


def _refuse_serving_export(inputs, outputs):
    if set(outputs) >= SERVING_EXPORT:
        [entry] = list(inputs.values())[:1] or [tf.TensorSpec([], tf.uint8)]
        raise protocol.Refused(DETECTION_API % (tf.as_dtype(entry.dtype).name, entry.name or "picture"))


def _weights(folder):
    """The values in its variables/, by name. Of a SavedModel without variables there are none."""
    prefix = os.path.join(folder, "variables", "variables")
    if not os.path.exists(prefix + ".index"):
        return {}
    source = tf.train.load_checkpoint(prefix)
    names = [name for name in source.get_variable_to_shape_map() if not name.startswith("_CHECKPOINTABLE")]
    trained = [name for name in names if ".OPTIMIZER_SLOT" not in name and not name.startswith("save_counter")]
    return exporting.digests({name: source.get_tensor(name) for name in trained})


if __name__ == "__main__":
    protocol.main(export)
