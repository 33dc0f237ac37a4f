"""Asks a runtime which versions of TFLite's built-in operators it has. Works in the tests' Python and in a toolchain's."""

from typing import Any, Callable, Dict  # noqa: UP035  # a toolchain's Python may be older

import flatbuffers

NEWEST = 16  # no operator has as many versions


def newest_versions(schema: Any, make: Callable[[bytes], Any]) -> Dict[str, int]:  # noqa: UP006
    """Of each built-in operator the newest version for which `make` gives an interpreter: of a file that names it and uses none."""
    codes = {name: code for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    found = {}
    for name, code in codes.items():
        there = [version for version in range(1, NEWEST) if _is_there(make, _file(schema, code, version))]
        if there:
            found[name] = max(there)
    return found


def _is_there(make: Callable[[bytes], Any], data: bytes) -> bool:
    try:
        make(data)
    except (ValueError, RuntimeError):
        return False
    return True


def _file(schema: Any, code: int, version: int) -> bytes:
    model, graph, tensor, used = schema.ModelT(), schema.SubGraphT(), schema.TensorT(), schema.OperatorCodeT()
    used.builtinCode, used.deprecatedBuiltinCode, used.version = code, min(code, 127), version
    tensor.shape, tensor.name, tensor.buffer = [1], b"x", 0
    graph.tensors, graph.inputs, graph.outputs, graph.operators = [tensor], [0], [0], []
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [used], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
