"""Take a .tflite from TF1's converter or from its publisher: check that it is what its variant's name says, and finish it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import protocol

from tflite_file import converted, flat, variants

if TYPE_CHECKING:
    from tflite_file.variants import Variant

MADE = "detect.tflite"  # from TF1's converter
PICTURE = "graph-tf1.dot"  # drawn by TF1's converter
FINISHED = "model.tflite"  # from a publisher; its outputs got their names when it was read


def take(args: dict[str, Any]) -> dict[str, Any]:
    """What was made of the file, as every converting step tells it."""
    exported = protocol.input_path("exported")
    contract = converted.read_contract(exported)
    made = os.path.join(protocol.input_path("made"), MADE)
    by_tf1 = os.path.exists(made)
    with open(made if by_tf1 else os.path.join(exported, FINISHED), "rb") as stream:
        model = flat.read(bytearray(stream.read()))
    if by_tf1:
        _finish_tf1(model, variants.of(args), exported, contract)
    return converted.finish(model, args, contract)


def _finish_tf1(model: Any, variant: Variant, exported: str, contract: dict[str, Any]) -> None:
    """Do what today's converter does and TF1's doesn't: the same bytes each time, outputs with names."""
    shutil.copyfile(os.path.join(protocol.input_path("made"), PICTURE), protocol.output_path(PICTURE))
    flat.settle_options(model)
    if variant.raw:
        flat.sign_by_names(model, flat.RAW_OUTPUTS)
        converted.keep_anchors(exported, contract)


if __name__ == "__main__":
    protocol.main(take)
