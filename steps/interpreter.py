"""TensorFlow Lite's interpreter alone: importing the rest of TensorFlow takes seconds, and running a file needs none of it.

The interpreter's Python file is written so that it also works as part of the small package `tflite_runtime`, beside nothing but its
native module. It is loaded that way here; the native module is TensorFlow's own.
"""

import glob
import importlib.metadata
import importlib.util
import os
import sys
import types

import numpy  # noqa: F401  # the native module expects it to be there

NAME = "tflite_runtime"
WRAPPER = "_pywrap_tensorflow_interpreter_wrapper"
PACKAGES = ("tensorflow-cpu", "tensorflow", "tensorflow-macos", "tf-nightly")


class _NoMetrics:
    """The interpreter counts how often it is made, for the metrics of a platform that isn't here."""

    def increase_counter_interpreter_creation(self):
        pass


def _load():
    folder = os.path.dirname(importlib.util.find_spec("tensorflow").origin)
    lite = os.path.join(folder, "lite", "python")
    [native] = glob.glob(os.path.join(lite, "interpreter_wrapper", WRAPPER + "*.so"))
    package = types.ModuleType(NAME)
    wrapper = _extension(native)
    metrics = types.ModuleType(NAME + ".metrics_portable")
    metrics.TFLiteMetrics = _NoMetrics
    setattr(package, WRAPPER, wrapper)
    package.metrics_portable = metrics
    sys.modules[NAME] = package
    with open(os.path.join(lite, "interpreter.py"), encoding="utf-8") as stream:
        code = compile(stream.read(), os.path.join(NAME, "interpreter.py"), "exec")
    module = types.ModuleType(NAME + ".interpreter")
    module.__file__ = os.path.join(NAME, "interpreter.py")  # it looks at its own name to know where it is
    sys.modules[module.__name__] = module  # enumerations look their module up
    exec(code, module.__dict__)  # noqa: S102  # TensorFlow's own file
    return module


def _extension(path):
    spec = importlib.util.spec_from_file_location(WRAPPER, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def version():
    """The TensorFlow that it is of."""
    for name in PACKAGES:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


if sys.modules.get("tensorflow"):  # it is there already, and its native part can't be loaded twice
    from tensorflow.lite.python import interpreter as _module
else:
    _module = _load()
Interpreter, OpResolverType = _module.Interpreter, _module.OpResolverType
