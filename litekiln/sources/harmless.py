"""Refuse a source that does more than compute, by its kind, before a step runs it. `inv new` asks for more: recognise.py."""

from collections.abc import Callable
from pathlib import Path

from litekiln.sources import frozen_graph, keras_file, saved_model, tflite_source
from litekiln.sources.kinds import KERAS, SAVED_MODEL, TF1_FROZEN, TFLITE

REFUSING: dict[str, Callable[[Path], None]] = {
    KERAS.name: keras_file.refuse_actions,
    SAVED_MODEL.name: saved_model.refuse_actions,
    TF1_FROZEN.name: frozen_graph.refuse_actions,
    TFLITE.name: tflite_source.refuse_actions,
}


def refuse_actions(kind: str, source: Path) -> None:
    """A SourceError if the source has an operator that no model may have. Checkpoints hold none; a function is code."""
    if kind in REFUSING:
        REFUSING[kind](source)
