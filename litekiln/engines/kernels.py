"""Tell OpenBLAS, which NumPy multiplies matrices with, what this processor can do: before NumPy is imported.

It goes by the processor's name, and takes the kernels of 2004 for one that is newer than itself: four times slower. NumPy goes by
what the processor says that it can. Runs in a toolchain's Python: standard library only, and valid for Python 3.7.
"""

import importlib
import os
import sys
import types
from typing import Dict

SETTING = "OPENBLAS_CORETYPE"


def choose() -> None:
    """Set it for all that this process starts. NumPy is asked in a process of its own, since this one imports nothing."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module("numpy")
            os.write(tell, best(sys.modules).encode())
        finally:
            os._exit(0)
    os.close(tell)
    with open(told, "rb") as stream:
        chosen = stream.read().decode()
    os.waitpid(child, 0)
    if chosen:
        os.environ[SETTING] = chosen


def best(modules: "Dict[str, types.ModuleType]") -> str:
    """The best kernels that this processor can run, by an imported NumPy. Nothing where that is not known."""
    module = modules.get("numpy._core._multiarray_umath") or modules.get("numpy.core._multiarray_umath")
    has: "Dict[str, bool]" = getattr(module, "__cpu_features__", {})
    if has.get("AVX512_SKX"):
        return "SkylakeX"
    return "Haswell" if has.get("AVX2") and has.get("FMA3") else ""
