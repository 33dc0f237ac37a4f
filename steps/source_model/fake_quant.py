"""Fake quantization in TF1's graphs: nodes that round as integers do, while the model is trained."""

from __future__ import annotations

from typing import Any

import tensorflow.compat.v1 as tf

OPERATORS = ("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVarsPerChannel")


def has(graph: Any) -> bool:
    return any(node.op in OPERATORS for node in graph.node)


def without(graph: Any) -> Any:
    """The same graph with identities in place of its fake quantization."""
    plain = tf.GraphDef()
    for node in graph.node:
        kept = plain.node.add()
        kept.CopyFrom(node)
        if node.op in OPERATORS:
            kept.Clear()
            kept.name, kept.op = node.name, "Identity"
            kept.input.append(node.input[0])
            kept.attr["T"].type = tf.float32.as_datatype_enum
    return plain
