"""A function of the user's own code, as a call that takes a picture.

"package.module:attribute" is looked up in the source's folder: a tf.function that states its input, an object whose __call__ is
one, or something that makes either.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

import protocol
import tensorflow as tf

import machine_faults
from source_model import exporting

if TYPE_CHECKING:
    import types

sys.dont_write_bytecode = True  # inputs are read-only
STEPS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE_IT = "@tf.function(input_signature=[tf.TensorSpec([1, 160, 160, 3], tf.float32)])"
FLOAT_REMEDY = (
    "Let it take float32: tf.TensorSpec([1, height, width, 3], tf.float32); with [input] mean = 0, std = 1 it gets the same pixels"
)
SIZE_REMEDY = "State a fixed size: tf.TensorSpec([1, 320, 320, 3], tf.float32)"


def load(args: dict[str, Any]) -> tuple[_Kept, Any, None]:
    """The function, its input, and None for the weights, which only the code knows."""
    module_name, _, attribute = args["function"].partition(":")
    module = _import(protocol.input_path("model"), module_name)
    found = _attribute(module, module_name, attribute)
    function = _function(found, args["function"])
    _, spec = exporting.picture_input(_inputs(function, args["function"]), FLOAT_REMEDY, SIZE_REMEDY)
    return function, spec, None


def _import(folder: str, name: str) -> types.ModuleType:
    if not os.path.isdir(folder):
        raise protocol.Refused("source.folder is %s: give the folder that has %s" % (exporting.folder_or_file(folder), name))
    for name_here in _own_modules():
        del sys.modules[name_here]
    sys.path[0] = os.path.abspath(folder)  # instead of the steps' own folder
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(missing + "."):
            there = ", ".join(sorted(each for each in os.listdir(folder) if not each.startswith((".", "__")))) or "nothing"
            raise protocol.Refused("there is no module %s in the source's folder, which has: %s" % (missing, there)) from None
        raise protocol.Refused(
            "%s imports %s, which is neither in the source's folder nor in this toolchain: copy it into the folder, "
            "or do without it" % (name, missing)
        ) from None
    except protocol.Refused:
        raise
    except Exception as error:
        machine_faults.pass_on(error, theirs=True)
        raise protocol.Refused("importing %s fails: %s: %s" % (name, type(error).__name__, error)) from error


def _own_modules() -> list[str]:
    """The names of the steps' own modules: a module of the user's may have the same name."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items() if name != "__main__"}
    return [name for name, path in files.items() if os.path.abspath(path).startswith(STEPS + os.sep)]


def _attribute(module: types.ModuleType, module_name: str, name: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    there = sorted(each for each in vars(module) if not each.startswith("_"))
    close = difflib.get_close_matches(name, there, n=1)
    hint = "did you mean %r?" % close[0] if close else "it has: %s" % ", ".join(there)
    raise protocol.Refused("module %s has no %r, %s" % (module_name, name, hint))


def _function(found: Any, stated: str) -> _Kept:
    """What can be traced: `found` itself, its __call__, or what it makes when called without arguments."""
    traced = _traceable(found)
    if traced is not None:
        return traced
    if not callable(found):
        raise protocol.Refused("%s is a %s: a tf.function is wanted, %s" % (stated, type(found).__name__, STATE_IT))
    if not _makes(found):
        raise protocol.Refused("%s has no input signature. State its input: %s" % (stated, STATE_IT))
    try:
        made = found()
    except Exception as error:
        machine_faults.pass_on(error, theirs=True)
        raise protocol.Refused("calling %s fails: %s: %s" % (stated, type(error).__name__, error)) from error
    traced = _traceable(made)
    if traced is None:
        raise protocol.Refused(
            "%s gives a %s without an input signature. State the input: %s" % (stated, type(made).__name__, STATE_IT)
        )
    return traced


def _makes(found: Any) -> bool:
    """Whether it can be called without arguments, which something that takes a picture can't."""
    if not isinstance(found, type) and any(hasattr(each, "get_concrete_function") for each in (found, found.__call__)):
        return False
    try:
        inspect.signature(found).bind()
    except TypeError:
        return False
    return True


def _traceable(found: Any) -> _Kept | None:
    if isinstance(found, type):
        return None
    for each in (found, found.__call__) if callable(found) else ():
        if hasattr(each, "structured_input_signature") or (hasattr(each, "get_concrete_function") and _signature(each)):
            return _Kept(each, found)
    return None


def _signature(function: Any) -> Any:
    return getattr(function, "input_signature", None)


class _Kept:
    """A function with the object whose method it is: the object owns the weights."""

    def __init__(self, function: Any, owner: Any) -> None:
        self.function, self.owner = function, owner

    def __call__(self, image: Any) -> Any:
        return self.function(image)


def _inputs(kept: _Kept, stated: str) -> dict[str, Any]:
    function = kept.function
    if hasattr(function, "structured_input_signature"):
        positional, named = function.structured_input_signature
        specs = [*positional, *named.values()]
    else:
        specs = list(_signature(function))
    wrong = [each for each in specs if not isinstance(each, tf.TensorSpec)]
    if wrong:
        raise protocol.Refused("%s takes a %s, one tensor is wanted: %s" % (stated, type(wrong[0]).__name__, STATE_IT))
    return {each.name or "image" if len(specs) == 1 else "%d" % place: each for place, each in enumerate(specs)}
