"""A whole Keras model, an .h5 or .keras file, as a call that takes a picture.

Keras 2 and Keras 3 write files that look alike and mean different things, so each is read by the Keras that wrote it. A layer that
isn't Keras's own comes from the user's file; code inside the model's file is never run.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import sys
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any, NoReturn

import h5py
import keras
import numpy
import protocol
import tensorflow as tf

import machine_faults
from source_model import exporting

if TYPE_CHECKING:
    from collections.abc import Callable

sys.dont_write_bytecode = True  # inputs are read-only
H5, ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
TOOLCHAINS = {2: "tf2.13", 3: "tf2.21"}  # by Keras's major version
FOR_TRAINING = ("optimizer/", "metrics/")
WHOLE = "save the whole model, with model.save(...)"
FLOAT_REMEDY = (
    "Build it again with keras.Input((height, width, 3)), which is float32, without the cast at its start; the pixels' scale "
    "stays as it is: [input] mean = 0, std = 1"
)
SIZE_REMEDY = "Build it again with keras.Input((320, 320, 3)), or of another fixed size, load its weights and save it"
LAMBDA = (
    "layer %r is a Lambda with code packed into the file, which is not run: it could be anything, and other Pythons can't read it. "
    "Write it as a layer, a class with call(), in a Python file, build the model again with that, load its weights, save it, and "
    'name the file: [source] custom = "layers.py"'
)


def load(_args: dict[str, Any]) -> tuple[Callable[[Any], Any], Any, dict[str, str]]:
    """A call that gives the model's outputs by name, its input, and the digests of the file's own weights."""
    path = protocol.input_path("model")
    model_file = H5File(path) if _starts(path, H5) else ZipFile(path) if _starts(path, ZIP) else None
    if model_file is None:
        raise protocol.Refused("this is no Keras file but %s: %s as .keras or .h5" % (exporting.folder_or_file(path), WHOLE))
    _check_version(model_file.version)
    _refuse_packed_code(model_file.config)
    custom = _custom_objects()
    _refuse_foreign(model_file.config, custom)
    model = _load_whole(model_file, custom)
    _, spec = exporting.picture_input(_inputs(model), FLOAT_REMEDY, SIZE_REMEDY)
    weights = model_file.weights()
    _check_all_loaded(model, weights)
    names, call = _output_names(model), _caller(model)

    def named(image: Any) -> Any:
        value = call(image)
        return dict(zip(names, tf.nest.flatten(value))) if names else value

    return named, spec, exporting.digests(weights)


class H5File:
    """The older form: one HDF5 file."""

    suffix = ".h5"

    def __init__(self, path: str) -> None:
        self.path = path
        with h5py.File(path, "r") as stored:
            config = stored.attrs.get("model_config")
            if config is None:
                raise protocol.Refused("the file holds weights alone, without the model they belong to: %s" % WHOLE)
            self.config = json.loads(config)
            self.version = _text(stored.attrs.get("keras_version", "2.0.0"))

    def weights(self) -> dict[str, numpy.ndarray]:
        with h5py.File(self.path, "r") as stored:
            return _datasets(stored["model_weights"])


class ZipFile:
    """The newer form: a zip with the configuration, the version that wrote it, and the weights as HDF5."""

    suffix = ".keras"

    def __init__(self, path: str) -> None:
        self.path = path
        with zipfile.ZipFile(path) as packed:
            missing = {"config.json", "metadata.json", "model.weights.h5"} - set(packed.namelist())
            if missing:
                raise protocol.Refused("the file is a zip without %s: %s" % (", ".join(sorted(missing)), WHOLE))
            self.config = json.loads(packed.read("config.json").decode("utf-8"))
            self.version = json.loads(packed.read("metadata.json").decode("utf-8"))["keras_version"]

    def weights(self) -> dict[str, numpy.ndarray]:
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(self.path) as packed:
            with h5py.File(packed.extract("model.weights.h5", folder), "r") as stored:
                found = _datasets(stored)
        return {name: value for name, value in found.items() if not name.startswith(FOR_TRAINING)}


def _starts(path: str, magic: bytes) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return stream.read(len(magic)) == magic


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _datasets(group: Any) -> dict[str, numpy.ndarray]:
    """All arrays of an HDF5 group, by path."""
    found = {}
    group.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
    return found


def _check_version(theirs: str) -> None:
    ours = keras.__version__
    there, here = exporting.version(theirs)[0], exporting.version(ours)[0]
    if there == here:
        return
    if there not in TOOLCHAINS:
        raise protocol.Refused("the file was written by Keras %s; Keras 2 and 3 are known" % theirs)
    raise protocol.Refused(
        'the file was written by Keras %s, and this toolchain has Keras %s: write toolchain = "%s" under [export] of its model.toml'
        % (theirs, ours, TOOLCHAINS[there])
    )


def _refuse_packed_code(value: Any, layer: str = "") -> None:
    """Refuse Lambda layers. Keras's own safe mode does it for .keras files only; .h5 files hold code as a list marked as lambda."""
    if isinstance(value, list):
        for each in value:
            _refuse_packed_code(each, layer)
    if isinstance(value, dict):
        name = value.get("name", layer)
        layer = name if isinstance(name, str) else layer
        if value.get("class_name") == "__lambda__" or any(_marks_code(key, each) for key, each in value.items()):
            raise protocol.Refused(LAMBDA % layer)
        for each in value.values():
            _refuse_packed_code(each, layer)


def _marks_code(key: Any, value: Any) -> bool:
    """Whether an entry marks packed code: `function_type`, `output_shape_type`, `mask_type` of Keras 2, or another such name."""
    return isinstance(key, str) and key.endswith("_type") and value == "lambda"


def _refuse_foreign(value: Any, custom: dict[str, Any] | None) -> None:
    """Refuse a class of another package than Keras: Keras would import it by its name, whatever it is."""
    if isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            _refuse_foreign(each, custom)
    if isinstance(value, dict) and isinstance(value.get("module"), str) and isinstance(value.get("class_name"), str):
        package, name = value["module"].partition(".")[0], value["class_name"]
        name = value["config"] if name == "function" and isinstance(value.get("config"), str) else name
        registered = keras.saving.get_registered_object(str(value.get("registered_name")))
        if package not in ("keras", "builtins") and name not in (custom or {}) and registered is None:
            _refuse_unknown(name, custom)


def _custom_objects() -> dict[str, Any] | None:
    """The objects of the user's file: its CUSTOM_OBJECTS, or all classes and functions in it; None without such a file."""
    path = protocol.input_path("custom")
    if not os.path.exists(path):
        return None
    sys.path.insert(0, os.path.abspath(path) if os.path.isdir(path) else os.path.dirname(os.path.abspath(path)))
    try:
        module = protocol.load_module(path, "custom")
    except ImportError as error:
        machine_faults.pass_on(error, theirs=True)
        raise protocol.Refused("the file of source.custom imports what this toolchain lacks: %s" % error) from None
    except Exception as error:
        machine_faults.pass_on(error, theirs=True)
        raise protocol.Refused("the file of source.custom fails: %s: %s" % (type(error).__name__, error)) from None
    stated = getattr(module, "CUSTOM_OBJECTS", None)
    if stated is not None:
        return dict(stated)
    found = inspect.getmembers(module, lambda each: inspect.isclass(each) or inspect.isfunction(each))
    return {name: each for name, each in found if getattr(each, "__module__", "") == module.__name__}


def _load_whole(model_file: H5File | ZipFile, custom: dict[str, Any] | None) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model" + model_file.suffix)  # Keras tells the form by the suffix
        shutil.copyfile(model_file.path, path)
        try:
            return keras.models.load_model(path, custom_objects=custom, compile=False)
        except Exception as error:
            machine_faults.pass_on(error)
            told = str(error)
            missing = re.search(r"Unknown [\w ]+: '?([\w>]+)'?|Could not locate \w+ '([\w>.]+)'", told)
            if missing:
                _refuse_unknown(missing.group(1) or missing.group(2), custom)
            raise protocol.Refused(
                "Keras %s can't load the file, which Keras %s wrote: %s"
                % (keras.__version__, model_file.version, told.strip().partition("\n")[0][:300] or type(error).__name__)
            ) from error


def _refuse_unknown(name: str, custom: dict[str, Any] | None) -> NoReturn:
    if custom is None:
        way_out = 'put its code into a Python file beside the recipe, and name that: [source] custom = "layers.py"'
    else:
        way_out = "the file of source.custom doesn't have it; it has: %s" % (", ".join(sorted(custom)) or "nothing")
    raise protocol.Refused("%s is no class or function of Keras's own: %s" % (name.rpartition(">")[2], way_out))


def _inputs(model: Any) -> dict[str, Any]:
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise protocol.Refused(
            "the model doesn't say what it takes, as subclassed ones don't: save keras.Model(image, model(image)) "
            "with image = keras.Input((height, width, 3))"
        )
    return {_text(each.name): tf.TensorSpec(each.shape, each.dtype) for each in tensors}


def _check_all_loaded(model: Any, weights: dict[str, numpy.ndarray]) -> None:
    """Refuse unless every weight of the file is in the model. Integers only count random draws and are no weights."""
    held = {name for name, value in weights.items() if numpy.issubdtype(value.dtype, numpy.floating)}
    there = set(exporting.digests({"%d" % place: each.numpy() for place, each in enumerate(model.variables)}).values())
    wanted = exporting.digests({name: weights[name] for name in held})
    lost = sorted(name for name, digest in wanted.items() if digest not in there)
    if lost:
        raise protocol.Refused(
            "%d of the file's %d weights were not loaded, the first: %s" % (len(lost), len(held), ", ".join(lost[:3]))
        )


def _output_names(model: Any) -> list[str] | None:
    """The outputs' names, from their layers; None where the model names them itself or has no such layers."""
    outputs = getattr(model, "outputs", None)
    if isinstance(getattr(model, "output", None), dict) or not outputs:
        return None
    names: list[str] = []
    for tensor in outputs:
        history = getattr(tensor, "_keras_history", None)
        layer = getattr(history, "operation", None) or getattr(history, "layer", None)
        name = layer.name if layer is not None else "output"
        taken = sum(each == name or each.rpartition("_")[0] == name for each in names)
        names.append("%s_%d" % (name, taken) if name in names else name)
    return names


def _caller(model: Any) -> Callable[[Any], Any]:
    return lambda image: model(image, training=False)
