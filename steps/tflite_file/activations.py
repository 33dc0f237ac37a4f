"""The activations of a file: RELU and RELU6, by themselves or as the end of another operator."""

from __future__ import annotations

from typing import Any

from tflite_file import flat

NAMES = {"RELU": flat.schema.ActivationFunctionType.RELU, "RELU6": flat.schema.ActivationFunctionType.RELU6}
OPERATORS = {"RELU": flat.schema.BuiltinOperator.RELU, "RELU6": flat.schema.BuiltinOperator.RELU6}


def exchange(model: Any, old: str, new: str) -> int:
    """Put one in the place of the other, everywhere; the result is in how many places."""
    count = 0
    for operator in model.subgraphs[0].operators:
        if getattr(operator.builtinOptions, "fusedActivationFunction", None) == NAMES[old]:
            operator.builtinOptions.fusedActivationFunction = NAMES[new]
            count += 1
    for code in model.operatorCodes:
        if max(code.builtinCode, code.deprecatedBuiltinCode) == OPERATORS[old]:
            code.builtinCode = code.deprecatedBuiltinCode = OPERATORS[new]
            count += 1
    return count
