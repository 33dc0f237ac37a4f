"""Run a source that is a Keras file, a SavedModel or a function on pictures, by the source's own code."""

from __future__ import annotations

import os
from typing import Any

import protocol
import tensorflow as tf

from detection import boxes, pictures
from judging import observations, picture_names
from source_model import exporting


def run(args: dict[str, Any]) -> dict[str, Any]:
    """What was run, on which pictures."""
    contract = protocol.read_json(os.path.join(protocol.input_path("exported"), "contract.json"))
    folder = protocol.input_path("pictures")
    names = picture_names.of(args, folder)
    call = _loader(args["loader"]).load(args)[0]
    writer = observations.Writer("%s itself, run by TensorFlow %s" % (args["words"], tf.__version__))
    for name, picture in picture_names.load(folder, names, observations.PICTURES):
        pixels, shares = pictures.fit(picture, contract)
        given = exporting.numbers(call(tf.constant(pictures.normalise(pixels, contract))))
        if contract["outputs"] == "detections":
            writer.add(name, {}, boxes.framed(boxes.of_outputs(given), shares))
        else:
            writer.add(name, given)
    return writer.write()


def _loader(name: str) -> Any:
    """The module that loads the source for its exporter. Each needs its own toolchain, so only this one is imported."""
    if name == "export_keras":
        from source_model import keras_file

        return keras_file
    if name == "export_saved_model":
        from source_model import saved_model

        return saved_model
    from source_model import function

    return function


if __name__ == "__main__":
    protocol.main(run)
