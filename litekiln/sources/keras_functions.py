"""Look for functions in a Keras model's configuration that do more than compute.

Keras calls what a configuration names: TensorFlow's functions as layers, operators as they are in a graph, and in Lambda layers
the functions of any module that is loaded.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

from litekiln.sources.operators import RUNS, Group, Use, any_group_of, group_of_function

FUNCTION_KEYS = ("function", "cls_ref", "activation")
OPERATOR = re.compile(r"""["']?\bop["']?\s*:\s*["'](\w+)["']""")  # in a node's text
PYTHONS_OWN = frozenset(sys.stdlib_module_names) - {"__main__"}


def objects_in_layers(value: Any, layer: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a configuration, with the name of the layer that it belongs to."""
    if isinstance(value, list):
        for each in value:
            yield from objects_in_layers(each, layer)
    elif isinstance(value, dict):
        layer = value["name"] if isinstance(value.get("name"), str) else layer
        yield layer, value
        for each in value.values():
            yield from objects_in_layers(each, layer)


def forbidden_functions(config: Any) -> Iterator[Use]:
    """The functions and operators that no model may have, with the layers that name them."""
    for layer, value in objects_in_layers(config):
        for name, group in _named(value):
            yield Use(name, f"layer {layer!r}", group.can)


def _named(value: dict[str, Any]) -> Iterator[tuple[str, Group]]:
    """What an object of a configuration names, where it does more than compute."""
    functions = [value[key] for key in FUNCTION_KEYS if isinstance(value.get(key), str)]
    if value.get("class_name") == "function" and isinstance(value.get("config"), str):
        functions.append(value["config"])
    for name in functions:
        if group := group_of_function(name) or _group_of_module(value.get("module")):
            yield name, group
    if "node_def" in value:
        node = value["node_def"] if isinstance(value["node_def"], str) else repr(value["node_def"])
        for operator in OPERATOR.findall(node):
            if group := any_group_of(operator):
                yield operator, group


def _group_of_module(module: object) -> Group | None:
    """Python's own modules hold no layers and no mathematics of tensors."""
    name = module.partition(".")[0] if isinstance(module, str) else ""
    return RUNS if name in PYTHONS_OWN and name != "builtins" else None
