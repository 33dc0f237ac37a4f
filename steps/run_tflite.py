"""Run a finished .tflite as its publisher gave it. Which output is what was found out when the file was read."""

from __future__ import annotations

import os
from typing import Any

import protocol

from detection import boxes, pictures
from judging import observations, picture_names
from tflite_file import interpreter


def run(args: dict[str, Any]) -> dict[str, Any]:
    """What was run, on which pictures."""
    exported, folder = protocol.input_path("exported"), protocol.input_path("pictures")
    contract = protocol.read_json(os.path.join(exported, "contract.json"))
    model = interpreter.Interpreter(protocol.input_path("model"), num_threads=1)
    model.allocate_tensors()
    entry, ends = model.get_input_details()[0], model.get_output_details()
    writer = observations.Writer("the published file itself, run by TensorFlow %s" % interpreter.version())
    names = picture_names.of(args, folder)
    for name, picture in picture_names.load(folder, names, observations.PICTURES):
        pixels, shares = pictures.fit(picture, contract)
        batch = pictures.normalise(pixels, contract)
        model.set_tensor(entry["index"], pictures.as_type(batch, entry["dtype"], entry["quantization"]))
        model.invoke()
        given = {name: model.get_tensor(ends[place]["index"]) for name, place in contract["published_order"].items()}
        writer.add(name, {}, boxes.framed(boxes.of_outputs(given), shares))
    return writer.write()


if __name__ == "__main__":
    protocol.main(run)
