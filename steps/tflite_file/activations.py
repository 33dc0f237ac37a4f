"""The activations of a file: RELU and RELU6, by themselves or as the end of another operator."""

from __future__ import annotations

from typing import Any

from tflite_file import flat

NAMES = {"RELU": flat.schema.ActivationFunctionType.RELU, "RELU6": flat.schema.ActivationFunctionType.RELU6}
OPERATORS = {"RELU": flat.schema.BuiltinOperator.RELU, "RELU6": flat.schema.BuiltinOperator.RELU6}


def holds(model: Any, name: str) -> bool:
    ends = (getattr(each.builtinOptions, "fusedActivationFunction", None) for each in model.subgraphs[0].operators)
    kinds = (max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes)
    return NAMES[name] in ends or OPERATORS[name] in kinds


def exchange(model: Any, old: str, new: str) -> None:
    """Put one in the place of the other, everywhere."""
    for operator in model.subgraphs[0].operators:
        if getattr(operator.builtinOptions, "fusedActivationFunction", None) == NAMES[old]:
            operator.builtinOptions.fusedActivationFunction = NAMES[new]
    for code in model.operatorCodes:
        if max(code.builtinCode, code.deprecatedBuiltinCode) == OPERATORS[old]:
            code.builtinCode = code.deprecatedBuiltinCode = OPERATORS[new]
