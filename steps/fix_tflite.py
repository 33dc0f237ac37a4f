"""Repair a finished detector without its source: the order of its outputs, its signature, its metadata, its label file.

Then run both files on the same pictures: each output must be the same to the byte. Otherwise nothing is written.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

import numpy
import protocol

import machine_faults
from detection import pictures
from tflite_file import contract_checks, flat, interpreter, kept_metadata, packed_metadata, write_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGED = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)
PIXELS = [127.5] * 3  # mean and std where nobody knows the network's own; the proof does not depend on them
DEAD = (
    "both files see the same %d boxes in each of %d pictures, so comparing them proves nothing: the outputs don't depend on the "
    "picture. Often the ranges of its integers were never measured; convert it again, with pictures for calibration"
)
DIFFERENT = "the repaired file gives other %s than the original on picture %d: nothing is written; please report it"


def fix(args: dict[str, Any]) -> dict[str, Any]:
    with open(protocol.input_path("model"), "rb") as stream:
        data = stream.read()
    model = _parse(data)
    graph = model.subgraphs[0]
    named = {name: int(tensor) for name, tensor in zip(args["meanings"], graph.outputs)}
    before = [named[name] for name in flat.DETECTION_OUTPUTS]
    stated, old = _stated(model), kept_metadata.read(model, data)
    _order(model, args)
    packed_metadata.drop(model)
    plain = flat.write(model)
    repaired, kept = kept_metadata.keep(write_metadata.write(plain, _told(model, args)), old, args["described"])
    if flat.describe(flat.read(bytearray(repaired))) != flat.describe(flat.read(bytearray(plain))):
        raise protocol.Refused("the graph changed while its metadata was kept: nothing is written; please report it")
    _check_words(repaired, args)
    proof = _prove(data, before, repaired, [int(each) for each in model.subgraphs[0].outputs], args)
    with open(protocol.output_path("repaired.tflite"), "wb") as stream:
        stream.write(repaired)
    done = _changes(stated, _stated(model), args) + _kept(kept, old, args["labels"])
    return {"repaired": done, "proof": proof}


def _parse(data: bytes) -> Any:
    try:
        return flat.read(bytearray(data))
    except DAMAGED:
        raise protocol.Refused("the .tflite is damaged or not whole: fetch or copy it again") from None


def _order(model: Any, args: dict[str, Any]) -> None:
    if args["postprocess"]:
        flat.order_outputs(model, args["max_detections"])
    else:
        flat.sign(model, args["meanings"])
        flat.order_by_signature(model, flat.DETECTION_OUTPUTS)


def _told(model: Any, args: dict[str, Any]) -> write_metadata.Told:
    graph = model.subgraphs[0]
    height, width = (int(size) for size in graph.tensors[graph.inputs[0]].shape[1:3])
    return write_metadata.Told(
        name=args["name"],
        description=args["description"],
        license=args["license"],
        picture="RGB, %d x %d" % (width, height),
        mean=args["mean"],
        std=args["std"],
        labels=args["labels"],
    )


def _check_words(data: bytes, args: dict[str, Any]) -> None:
    """Read back what was written, and refuse it where it is wrong."""
    model = flat.read(bytearray(data))
    packed, _ = packed_metadata.read(model, data)
    contract = {"classes": 0, "mean": args["mean"], "std": args["std"]}
    checks = contract_checks.of_words(model, contract, args["labels"], packed)
    contract_checks.require(check for check in checks if args["mean"] or check.id != "packed-pixels")


def _stated(model: Any) -> dict[str, Any]:
    """The outputs' shapes and names that a program reads before it runs the file."""
    graph = model.subgraphs[0]
    tensors = [graph.tensors[each] for each in graph.outputs]
    signed = model.signatureDefs[0].outputs if model.signatureDefs and model.signatureDefs[0].outputs else []
    return {
        "shapes": sorted([int(size) for size in each.shape] if each.shape is not None else [] for each in tensors),
        "names": sorted(entry.name.decode("utf-8", "replace") for entry in signed),
    }


def _changes(before: dict[str, Any], after: dict[str, Any], args: dict[str, Any]) -> list[str]:
    """What was repaired, a line each."""
    done = []
    if args["meanings"] != list(flat.DETECTION_OUTPUTS):
        done.append("outputs in the order %s, not %s" % (", ".join(flat.DETECTION_OUTPUTS), ", ".join(args["meanings"])))
    if before["shapes"] != after["shapes"]:
        done.append("the outputs' shapes are written down")
    if before["names"] != after["names"]:
        done.append("the signature names the outputs by what they are")
    what = ["what the outputs mean"]
    if args["mean"]:
        mean, std = (", ".join("%g" % each for each in sorted(set(args[key]))) for key in ("mean", "std"))
        what.append("mean %s and std %s" % (mean, std))
    if args["labels"]:
        what.append("%d class names" % len(args["labels"]))
    return done + ["metadata: " + ", ".join(what)]


def _kept(kept: list[str], old: kept_metadata.Old, labels: list[str]) -> list[str]:
    """What was taken over from the old file, a line each; and what to check, because it has a line for each class."""
    lines = ["kept as it was: " + ", ".join(dict.fromkeys(kept))] if kept else []
    for name, content in old.files:
        count = len(content.splitlines())
        if name.endswith(".csv") and labels and count != len(labels):
            lines.append("kept, but check %s: it has %d lines, and there are %d class names" % (name, count, len(labels)))
    return lines + (["left out, since damaged or too large: " + ", ".join(old.damaged)] if old.damaged else [])


def _prove(data: bytes, before: list[int], repaired: bytes, after: list[int], args: dict[str, Any]) -> dict[str, int]:
    """The number of pictures on which both files gave the same, and of boxes that they gave."""
    count, boxes, different = _compare((data, before), (repaired, after), args, delegates=True)
    if boxes and count > 1 and different == 1:
        # XNNPACK of TensorFlow 2.13 makes zeros of some convolutions (3 x 3 in steps of 4): that is no fault of the file.
        count, boxes, different = _compare((data, before), (repaired, after), args, delegates=False)
    if boxes and count > 1 and different == 1:
        raise protocol.Refused(DEAD % (boxes // count, count))
    return {"random": args["random"], "pictures": count - args["random"], "boxes": boxes}


def _compare(
    first: tuple[bytes, list[int]], second: tuple[bytes, list[int]], args: dict[str, Any], delegates: bool
) -> tuple[int, int, int]:
    """How many pictures both files were run on, how many boxes they gave, and how many different answers."""
    old, new = _runner(first[0], delegates), _runner(second[0], delegates)
    boxes, seen, entries = 0, set(), list(_entries(new.get_input_details()[0], args))
    for place, entry in enumerate(entries):
        was, now = _run(old, entry, first[1]), _run(new, entry, second[1])
        for name, one, other in zip(flat.DETECTION_OUTPUTS, was, now):
            if one.dtype != other.dtype or one.shape != other.shape or one.tobytes() != other.tobytes():
                raise protocol.Refused(DIFFERENT % (name, place))
        boxes += int(now[-1].ravel()[0])
        seen.add(b"".join(each.tobytes() for each in now))
        protocol.progress(place + 1, len(entries), "pictures")
    return len(entries), boxes, len(seen)


def _runner(data: bytes, delegates: bool) -> Any:
    try:
        runner = interpreter.Interpreter(model_content=data, num_threads=1, delegates=delegates)
        runner.allocate_tensors()
        return runner
    except (RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        lines = str(error).splitlines() or [type(error).__name__]
        told = (interpreter.version(), lines[0][:300])
        raise protocol.Refused("the interpreter of TensorFlow %s can't run the file, so nothing can be proven: %s" % told) from None


def _run(runner: Any, entry: numpy.ndarray, outputs: list[int]) -> list[numpy.ndarray]:
    try:
        runner.set_tensor(runner.get_input_details()[0]["index"], entry)
        runner.invoke()
        return [runner.get_tensor(each).copy() for each in outputs]
    except (RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        raise protocol.Refused("the file can't be run on a picture, so nothing can be proven: %s" % str(error)[:300]) from None


def _entries(detail: dict[str, Any], args: dict[str, Any]) -> Iterator[numpy.ndarray]:
    """The inputs to compare on: noise, the same each time, then the user's pictures."""
    for seed in range(args["random"]):
        yield _as_type(numpy.random.RandomState(seed).randint(0, 256, detail["shape"]).astype(numpy.float32), detail, args)
    contract = {"height": int(detail["shape"][1]), "width": int(detail["shape"][2]), "resize": "stretch"}
    for name in args.get("pictures", ()):
        try:
            picture = pictures.load(os.path.join(protocol.input_path("pictures"), name))
        except pictures.Unreadable as error:
            raise protocol.Refused("the picture %s can't be read: %s" % (name, error)) from None
        yield _as_type(pictures.fit(picture, contract)[0][numpy.newaxis], detail, args)


def _as_type(pixels: numpy.ndarray, detail: dict[str, Any], args: dict[str, Any]) -> numpy.ndarray:
    """Pixels from 0 to 255 as a batch of the file's input type."""
    if detail["dtype"] == numpy.float32:
        contract = {"mean": args["mean"] or PIXELS, "std": args["std"] or PIXELS}
        return pictures.normalise(pixels[0], contract)
    limits = numpy.iinfo(detail["dtype"])
    typed: numpy.ndarray = numpy.clip(numpy.round(pixels) + limits.min, limits.min, limits.max).astype(detail["dtype"])
    return typed


if __name__ == "__main__":
    protocol.main(fix)
