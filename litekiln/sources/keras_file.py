"""Read Keras files without Keras: which Keras wrote them, their input, and the classes that Keras does not know."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError
from litekiln.formats import hdf5
from litekiln.formats.zips import open_zip
from litekiln.sources.damage import reading
from litekiln.sources.graph_operators import refuse
from litekiln.sources.keras_functions import forbidden_functions, objects_in_layers
from litekiln.sources.keras_names import KNOWN
from litekiln.sources.picture_input import Tensor, fixed_picture

CONFIG, METADATA = "config.json", "metadata.json"
SAVE_WHOLE = "save the whole model: model.save('model.keras')"
GIVE_FIXED = "build the model with keras.Input((320, 320, 3)), the size it was trained with, load its weights and save it whole"
KERAS_OWN = ("keras", "tf_keras", "builtins", "numpy", "tensorflow")
MOST_CONFIG = 64 << 20  # bytes
PARTS_OF_FORMAT = re.compile("__.*__")  # __lambda__, __tensor__: forms of objects, not classes


@dataclass(frozen=True)
class KerasModel:
    """A whole model in a file."""

    version: str
    suffix: str  # of the file's true form, whatever its name
    height: int
    width: int
    custom: list[str]  # classes and functions that Keras does not know
    packed: list[str]  # layers whose code is in the file, as bytecode of one Python

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def is_keras(path: Path) -> bool:
    """Whether Keras wrote the file: a whole model or weights, as HDF5 or zip."""
    if hdf5.is_hdf5(path):
        return True
    try:
        with path.open("rb") as stream, open_zip(stream) as package:
            return METADATA in package.namelist()
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError):
        return False


def read_keras(path: Path) -> KerasModel:
    with reading(path, "a Keras model", SAVE_WHOLE):
        old = hdf5.is_hdf5(path)
        version, config = _from_hdf5(path) if old else _from_zip(path)
        refuse(path, forbidden_functions(config))
        return _looked_into(path, version, config, old=old)


def refuse_actions(path: Path) -> None:
    """Refuse a Keras file that does more than compute. Nothing else is asked of it."""
    with reading(path, "a Keras model", SAVE_WHOLE):
        config = (_from_hdf5(path) if hdf5.is_hdf5(path) else _from_zip(path))[1]
        refuse(path, forbidden_functions(config))


def _looked_into(path: Path, version: str, config: dict[str, Any], *, old: bool) -> KerasModel:
    if not re.match(r"[23]\.\d", version):
        cause = "the file names another version" if version else "the file does not say which Keras wrote it"
        raise SourceError(f"{path} was written by Keras {version or '?'}: 2 and 3 are known", cause=cause, remedy=SAVE_WHOLE)
    tensors = _inputs(config)
    takes = f"{path} takes {', '.join(map(str, tensors)) or 'an input that it does not describe'}"
    if len(tensors) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="the model has several inputs, or none", remedy=GIVE_FIXED)
    height, width = fixed_picture(tensors[0], takes, GIVE_FIXED)
    custom = sorted(set(_custom(config, named=not old)))
    return KerasModel(version, ".h5" if old else ".keras", height, width, custom, sorted(set(_packed(config))))


def _weights_only(path: Path) -> SourceError:
    cause = "save_weights() wrote it, or a checkpoint that saves weights only"
    remedy = f"build the model, load the weights, then {SAVE_WHOLE}"
    return SourceError(f"{path} holds weights, but no model", cause=cause, remedy=remedy)


def _from_hdf5(path: Path) -> tuple[str, dict[str, Any]]:
    texts = hdf5.root_texts(path)
    if "model_config" not in texts:
        if hdf5.is_empty(path):
            cause = "the saving was interrupted, or a program opened it for writing and closed it"
            raise SourceError(f"{path} is an empty HDF5 file: it holds no model and no weights", cause=cause, remedy=SAVE_WHOLE)
        raise _weights_only(path)
    return texts.get("keras_version", ""), _as_object(json.loads(texts["model_config"]))


def _from_zip(path: Path) -> tuple[str, dict[str, Any]]:
    with path.open("rb") as stream, open_zip(stream) as package:
        names = package.namelist()
        if CONFIG not in names:
            if any(name.endswith(".weights.h5") for name in names):
                raise _weights_only(path)
            raise ValueError(f"it has no {CONFIG}")
        if max(package.getinfo(name).file_size for name in (CONFIG, METADATA)) > MOST_CONFIG:
            raise ValueError(f"its {CONFIG} is far too long")
        version = _as_object(json.loads(package.read(METADATA))).get("keras_version", "")
        return str(version), _as_object(json.loads(package.read(CONFIG)))


def _as_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("its configuration is not an object")
    return value


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every serialised object in a configuration, the outer one first."""
    return (value for _, value in objects_in_layers(config) if isinstance(value.get("class_name"), str))


def _layers(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A model, its layers, their layers, and the layers that a layer wraps."""
    yield value
    inner = value.get("config")
    if isinstance(inner, list):
        inner = {"layers": inner}
    if isinstance(inner, dict):
        for each in [*_listed(inner), *(inner.get(name) for name in ("layer", "backward_layer", "cell", "cells"))]:
            for layer in each if isinstance(each, list) else [each]:
                if isinstance(layer, dict) and isinstance(layer.get("class_name"), str):
                    yield from _layers(layer)


def _listed(inner: Any) -> list[Any]:
    """A model's layers. Before Keras 2.2.3, a Sequential's configuration was their list."""
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    return layers if isinstance(layers, list) else []


def _custom(config: dict[str, Any], *, named: bool) -> Iterator[str]:
    """The user's own classes and functions. `named`: the file says which module each object comes from.

    A .h5 does not, and Keras 3 can't load its own operations (`half[..., :4]`) from one: they count as unknown.
    """
    for each in _objects(config):
        if "module" in each:
            module = str(each["module"] or "")
            known = module.split(".")[0] in KERAS_OWN or PARTS_OF_FORMAT.fullmatch(each["class_name"])
            function = each["class_name"] == "function" and isinstance(each.get("config"), str)
            if not known or (function and module == "builtins"):
                yield str(each["config"] if function else each.get("registered_name") or each["class_name"])
    if not named:
        for each in _layers(config):
            name = str(each["class_name"])
            if "module" not in each and name not in KNOWN and not name.startswith(("keras>", "Keras>")):
                yield name


def _packed(config: Any) -> Iterator[str]:
    """The names of layers with code packed into them. Keras 3 marks the code, Keras 2 marks the function's type."""
    for layer, value in objects_in_layers(config):
        if value.get("class_name") == "__lambda__" or any(
            key.endswith("_type") and each == "lambda" for key, each in value.items()
        ):
            yield layer


def _inputs(config: dict[str, Any]) -> list[Tensor]:
    """The outer model's input layers; if it has none, the shape that it was built with."""
    layers = _listed(config.get("config"))
    found = []
    for layer in layers:
        if isinstance(layer, dict) and layer.get("class_name") == "InputLayer" and isinstance(layer.get("config"), dict):
            settings = layer["config"]
            shape = settings.get("batch_shape", settings.get("batch_input_shape"))
            dtype = settings.get("dtype")
            found.append(Tensor(str(settings.get("name", "input")), dtype if isinstance(dtype, str) else "float32", _shape(shape)))
    if found:
        return found
    first = layers[0].get("config") if layers and isinstance(layers[0], dict) else None
    if _listed(first) and not (isinstance(first, dict) and "batch_input_shape" in first):
        return _inputs(layers[0])  # a Sequential of models takes what the first of them takes
    shapes = [each.get(key) for each, key in ((first, "batch_input_shape"), (config.get("build_config"), "input_shape")) if each]
    return [Tensor("input", "float32", _shape(shape)) for shape in shapes if _shape(shape) is not None][:1]


def _shape(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(each if isinstance(each, int) else -1 for each in value)
