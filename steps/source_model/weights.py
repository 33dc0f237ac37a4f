"""Proof that an exported graph has all weights of its checkpoint: the Object Detection API doesn't complain when some are missing.

A checkpoint's names depend on the TensorFlow that wrote it, so values are compared; names say which ones differ.
"""

from __future__ import annotations

import collections
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import protocol
import tensorflow as tf

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
SHOWN = 3


def compare(prefix: str, model: Any, graph: Mapping[str, str], left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The proof that the model, and the graph that is exported, have every weight of the checkpoint and no other.

    `graph` are the digests of the graph's weights by their names. `left_out` are the beginnings of the keys of weights that the
    model was built without, on purpose.
    """
    source = tf.train.load_checkpoint(prefix)
    every = _keys(source)
    kept = [key for key in every if not key.startswith(tuple(left_out))]
    wanted = {key: digest(source.get_tensor(key)) for key in kept}
    rewritten = tf.train.load_checkpoint(tf.train.Checkpoint(model=model).write(os.path.join(tempfile.mkdtemp(), "model")))
    restored = {key: digest(rewritten.get_tensor(key)) for key in _keys(rewritten)}
    for key in sorted(restored):
        if key in wanted and wanted[key] != restored[key]:
            shapes = source.get_variable_to_shape_map()[key], rewritten.get_variable_to_shape_map()[key]
            raise protocol.Refused("%s is not what the checkpoint has (shape %s there, %s in the model)" % ((key,) + shapes))
    _same(restored, wanted, "of the model's %d variables are not in the checkpoint")
    _same(wanted, restored, "of the checkpoint's %d weights are not in the model")
    _same(graph, wanted, "of the exported graph's %d variables are not the checkpoint's")
    values = sum(int(numpy.prod(each.shape)) for each in model.variables)
    proof = {"variables": len(graph), "values": values, "equal": True}
    return dict(proof, left_out=len(every) - len(kept)) if left_out else proof


def require_all(model: Any, prefix: str) -> None:
    """Refuse a model with a variable whose value is not in the checkpoint."""
    source = tf.train.load_checkpoint(prefix)
    wanted = {key: digest(source.get_tensor(key)) for key in _keys(source)}
    held = {"%d %s" % (place, each.name): digest(each.numpy()) for place, each in enumerate(model.variables)}
    if not held:
        raise protocol.Refused("the model has no variables")
    _same(held, wanted, "of the model's %d variables are not in the checkpoint")


def _keys(reader: Any) -> list[str]:
    """The keys of a model's variables, without what only training needs."""
    keys = (key for key in reader.get_variable_to_shape_map() if key.startswith("model/") and key.endswith(VALUE))
    return sorted(key for key in keys if ".OPTIMIZER_SLOT" not in key)


def digest(value: numpy.ndarray) -> str:
    """A hash of an array's type, shape and values."""
    return hashlib.sha256(repr((value.dtype.str, value.shape)).encode() + value.tobytes()).hexdigest()


def match(found: Mapping[str, str], among: Mapping[str, str]) -> tuple[list[str], int]:
    """The names whose values `found` has more often than `among`, and how many of `among` are left over."""
    left = collections.Counter(among.values())
    unknown = []
    for name in sorted(found):
        left[found[name]] -= 1
        if left[found[name]] < 0:
            unknown.append(name)
    return unknown, sum(count for count in left.values() if count > 0)


def _same(found: Mapping[str, str], among: Mapping[str, str], what: str) -> None:
    """Refuse when `found` has a value more often than `among`."""
    unknown, _ = match(found, among)
    if unknown:
        counted = "%d %s" % (len(unknown), what % len(found))
        raise protocol.Refused(
            "%s, the first: %s; do checkpoint and pipeline.config belong to the same model?" % (counted, ", ".join(unknown[:SHOWN]))
        )
