"""Which versions of operators the Pi's runtime has: the table of the contract check, against that runtime itself."""

import re
from importlib.metadata import version
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tflite_file import runtimes

from tests.helpers.operator_versions import newest_versions

ROOT = Path(__file__).resolve().parents[4]


def test_the_table_is_what_the_pis_runtime_has() -> None:
    asked = newest_versions(schema, lambda data: Interpreter(model_content=data))
    assert {name: newest[1] for name, newest in runtimes.NEWEST.items() if newest[1]} == asked


def test_the_pis_runtime_of_the_table_is_the_one_that_its_image_holds() -> None:
    pinned = re.search(r"^ai-edge-litert==(\S+)", (ROOT / "pi" / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    assert pinned[1] == version("ai-edge-litert")
    assert runtimes.RUNTIMES[1] == f"LiteRT {pinned[1]} (on a Pi)"


def test_what_a_runtime_lacks_is_named() -> None:
    assert runtimes.lacking([("CONV_2D", 7), ("FULLY_CONNECTED", 9)]) == []
    assert runtimes.lacking([("FULLY_CONNECTED", 12), ("CONV_2D", 3), ("FULLY_CONNECTED", 12)]) == [
        "FULLY_CONNECTED in version 12, but TensorFlow Lite 2.13 (in which litekiln verifies) has it up to version 10"
    ]
    assert runtimes.lacking([("QUANTIZE", 7), ("STABLEHLO_SORT", 1)]) == [
        "QUANTIZE in version 7, but TensorFlow Lite 2.13 (in which litekiln verifies) has it up to version 3",
        "QUANTIZE in version 7, but LiteRT 2.1.6 (on a Pi) has it up to version 6",
        "STABLEHLO_SORT in version 1, but TensorFlow Lite 2.13 (in which litekiln verifies) doesn't have it",
        "STABLEHLO_SORT in version 1, but LiteRT 2.1.6 (on a Pi) doesn't have it",
    ]
