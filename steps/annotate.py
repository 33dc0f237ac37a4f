"""Write TFLite metadata into a converted model: pixel normalisation, the meaning of each tensor and the label file.

Draw its graph beside it.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import protocol

import refusals
from graph import graph_facts, graph_picture
from tflite_file import contract_checks, flat, packed_metadata, write_metadata
from tflite_file.packed_metadata import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTRA_FILES = ("anchors.npy", "postprocess.json", "graph-tf1.dot")


def annotate(args: dict[str, Any]) -> dict[str, Any]:
    converted = protocol.input_path("converted")
    contract = protocol.read_json(os.path.join(protocol.input_path("exported"), "contract.json"))
    packed = _packed_labels()
    labels = args["labels"] or packed
    if not labels and contract["outputs"] != "tensors":
        raise refusals.everywhere(
            protocol.Refused("there is no label map"),
            cause="the recipe names none, and the model has none packed into it",
            remedy='name one in its model.toml: [labels] file = "labels.txt"',
        )
    with open(os.path.join(converted, "detect.tflite"), "rb") as stream:
        plain = stream.read()
    data = write_metadata.write(plain, _told(args, contract, labels))
    model = flat.read(bytearray(data))
    _require(contract_checks.of_words(model, contract, labels, packed_metadata.read(model, data)[0]))
    with open(protocol.output_path(LABELS), "w", encoding="utf-8") as stream:
        stream.write("".join(label + "\n" for label in labels))
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    with open(protocol.output_path("graph.svg"), "w", encoding="utf-8") as stream:
        stream.write(graph_picture.draw(graph_facts.read(data))[1])
    for name in EXTRA_FILES:
        if os.path.exists(os.path.join(converted, name)):
            shutil.copyfile(os.path.join(converted, name), protocol.output_path(name))
    described = flat.describe(model)
    return dict(
        described,
        size=len(data),
        sha256=protocol.sha256_file(protocol.output_path("detect.tflite")),
        input_type=described["inputs"][0]["type"],
        labels=len(labels),
        warnings=_other_names(packed, labels),
    )


def _require(checks: Iterable[contract_checks.Check]) -> None:
    """Refuse at the first check that fails. No converter changes how many names a label map has."""
    for check in checks:
        if check.problem and check.id == contract_checks.LABEL_COUNT:
            raise refusals.everywhere(
                protocol.Refused(check.problem),
                cause="it is another model's, or has lines that are no class: a background, a placeholder, an empty line",
                remedy="edit the file that [labels] in model.toml names: one line for each class, in the order of training",
            )
        contract_checks.require([check])


def _packed_labels() -> list[str]:
    """The labels that a finished source had in its own metadata; none where it had no label file."""
    path = os.path.join(protocol.input_path("exported"), LABELS)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def _other_names(packed: list[str], labels: list[str]) -> list[str]:
    """A warning where a finished file named its classes otherwise than the recipe does: one of the two is wrong."""
    other = [place for place, pair in enumerate(zip(packed, labels)) if pair[0] != pair[1]]
    if not other:
        return []
    first = other[0]
    shown = (
        "the file itself names %d of its %d classes otherwise than the label map: class %d is %r there, %r here. "
        "Look which is right"
    )
    return [shown % (len(other), len(packed), first, packed[first], labels[first])]


def _told(args: dict[str, Any], contract: dict[str, Any], labels: list[str]) -> write_metadata.Told:
    what = {"tensors": "Gives tensors", "detections": "Detector"}.get(contract["outputs"], "SSD detector")
    return write_metadata.Told(
        name=args["model"],
        description="%s, variant %s" % (what, args["variant"]),
        license=args["license"],
        picture="RGB, %d x %d, resized by %s" % (contract["width"], contract["height"], contract["resize"]),
        mean=contract["mean"],
        std=contract["std"],
        labels=labels,
    )


if __name__ == "__main__":
    protocol.main(annotate)
