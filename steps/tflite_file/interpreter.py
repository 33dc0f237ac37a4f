"""TensorFlow Lite's interpreter alone: importing the rest of TensorFlow takes seconds, and most files need none of it to run.

The interpreter's Python file also works as part of the small package `tflite_runtime`, where only its native module is beside it.
It is loaded that way here; the native module is TensorFlow's own.
"""

from __future__ import annotations

import glob
import importlib.metadata
import importlib.util
import os
import sys
import types
from typing import Any

import numpy  # noqa: F401  # the native module needs it to be loaded

NAME = "tflite_runtime"
MODULE = NAME + ".interpreter"
WRAPPER = "_pywrap_tensorflow_interpreter_wrapper"
PACKAGES = ("tensorflow-cpu", "tensorflow", "tensorflow-macos", "tf-nightly")


class _NoMetrics:
    """Stands in for the metrics of another platform: the interpreter counts there how often it is made."""

    def increase_counter_interpreter_creation(self) -> None:
        pass


def Interpreter(  # noqa: N802  # called like the class that it makes
    model_path: str | None = None,
    model_content: bytes | None = None,
    num_threads: int = 1,
    full: bool = False,
    keep: bool = False,
    delegates: bool = True,
) -> Any:
    """An interpreter of a file, by its path or its content. `full`: the file has operators that only full TensorFlow can run.

    `keep`: all tensors can be read after a run, which takes memory for each. Without `delegates` XNNPACK is left out, which runs floats
    by default.
    """
    module, more = _module(full), {}
    if keep:
        more["experimental_preserve_all_tensors"] = True
    if not delegates:
        more["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return module.Interpreter(model_path=model_path, model_content=model_content, num_threads=num_threads, **more)


def _module(full: bool) -> Any:
    """The Python module of the interpreter. The first one that is loaded stays: its native part can't be loaded twice."""
    if MODULE not in sys.modules and (full or sys.modules.get("tensorflow")):
        from tensorflow.lite.python import interpreter

        return interpreter
    return sys.modules.get(MODULE) or _load()


def _load() -> types.ModuleType:
    """The module of the interpreter, without the rest of TensorFlow."""
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None and spec.origin is not None
    lite = os.path.join(os.path.dirname(spec.origin), "lite", "python")
    [native] = glob.glob(os.path.join(lite, "interpreter_wrapper", WRAPPER + "*.so"))
    package: Any = types.ModuleType(NAME)
    wrapper = _extension(native)
    metrics: Any = types.ModuleType(NAME + ".metrics_portable")
    metrics.TFLiteMetrics = _NoMetrics
    setattr(package, WRAPPER, wrapper)
    package.metrics_portable = metrics
    sys.modules[NAME] = package
    with open(os.path.join(lite, "interpreter.py"), encoding="utf-8") as stream:
        code = compile(stream.read(), os.path.join(NAME, "interpreter.py"), "exec")
    module = types.ModuleType(MODULE)
    module.__file__ = os.path.join(NAME, "interpreter.py")  # the file reads its own path to know which package it is in
    sys.modules[MODULE] = module  # enumerations look up their module
    exec(code, module.__dict__)  # noqa: S102  # TensorFlow's own file
    return module


def _extension(path: str) -> types.ModuleType:
    """A native module, loaded from its file."""
    spec = importlib.util.spec_from_file_location(WRAPPER, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def version() -> str:
    """The version of the TensorFlow that the interpreter is part of."""
    for name in PACKAGES:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
