"""Finish a conversion: put the outputs in order, check the contract, run the file once."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import numpy
import protocol
import tensorflow as tf

import machine_faults
import refusals
from tflite_file import arithmetic, contract_checks, flat, variants

if TYPE_CHECKING:
    from collections.abc import Callable

    from tflite_file.variants import Variant

NO_FLEX_HERE = "Select TensorFlow op(s)"  # the error of an interpreter that was built without them
CANT_CALIBRATE = (
    "the interpreter of TensorFlow %s has none of full TensorFlow's operators, so it can't calibrate a model that needs them: "
    "name tf2.13 in convert.toolchains, which has them"
)


def finish(model: Any, args: dict[str, Any], contract: dict[str, Any]) -> dict[str, Any]:
    """The description of a converted model, which is checked against its variant's name, written and run once."""
    variant = variants.of(args)
    names = _order_outputs(model, variant, contract)
    allow_flex, keep_float = args.get("allow_flex"), args.get("keep_float", ())
    contract_checks.require(contract_checks.of_graph(model, variant, contract, names, allow_flex, keep_float))
    described = flat.describe(model)
    flex = sorted(name for name in described["operators"] if name.startswith("Flex"))
    data = flat.write(model)
    ran = _run_once(data, described, flex)
    with open(protocol.output_path("detect.tflite"), "wb") as stream:
        stream.write(data)
    return {
        "variant": variant.name,
        "size": len(data),
        "sha256": protocol.sha256_file(protocol.output_path("detect.tflite")),
        "tensorflow": tf.__version__,
        "warnings": _warnings(model, variant, flex, ran),
        **described,
    }


def _warnings(model: Any, variant: Variant, flex: list[str], ran: bool) -> list[str]:
    told = ["needs a runtime with TensorFlow's own operators: %s" % ", ".join(flex)] if flex else []
    if not ran:
        told.append("was not run: the interpreter of TensorFlow %s has none of those operators" % tf.__version__)
    if arithmetic.without_tiny_weights(model, variant):
        told.append("stores no weights in 8 bits: none of them has %d values or more" % arithmetic.TINY)
    return told


def _order_outputs(model: Any, variant: Variant, contract: dict[str, Any]) -> tuple[str, ...]:
    """The outputs' names in the canonical order, in which they are put; the contract says which outputs there are."""
    made_by = contract["outputs"]
    refuse_raw(variant, contract)
    if made_by == "postprocess" and not variant.raw:
        flat.order_outputs(model, contract["max_detections"])
        return flat.DETECTION_OUTPUTS
    if flat.postprocess(model) is not None:
        raise protocol.Refused("%s has a PostProcess operator, which its name excludes" % variant.name)
    names = {"detections": flat.DETECTION_OUTPUTS, "tensors": tuple(contract.get("names", ()))}.get(made_by, flat.RAW_OUTPUTS)
    flat.order_by_signature(model, names)
    return names


def refuse_raw(variant: Variant, contract: dict[str, Any]) -> None:
    """Refuse a -raw variant of a model without a PostProcess operator: there is nothing to leave out."""
    if variant.raw and contract["outputs"] == "detections":
        raise refusals.everywhere(
            protocol.Refused("%s leaves out the PostProcess operator, and this model has none" % variant.name),
            cause="ordinary operators make its detections",
            remedy="take the variant without -raw",
        )


def attempt(convert: Callable[[], bytes]) -> bytes:
    """The converted file. What the converter throws becomes a refusal: the next toolchain may do better."""
    try:
        return convert()
    except Exception as error:
        machine_faults.pass_on(error)
        missing = sorted(set(re.findall(r"^\s*tf\.(\w+)\(", str(error), re.MULTILINE)))
        if re.search("Select TF ops|TF Select|SELECT_TF_OPS", str(error)):
            raise protocol.Refused(
                contract_checks.NEEDS_FLEX % (", ".join(missing) or "the converter doesn't name them")
            ) from error
        if NO_FLEX_HERE in str(error):
            raise protocol.Refused(CANT_CALIBRATE % tf.__version__) from error
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise protocol.Refused("the converter of TensorFlow %s fails: %s" % (tf.__version__, lines[0][:300])) from error


def converter(saved_model: str, args: dict[str, Any]) -> Any:
    """TensorFlow's converter of a SavedModel, which may use full TensorFlow's operators if the user asked for that."""
    made = tf.lite.TFLiteConverter.from_saved_model(saved_model)
    # In 2.13, a product of two batches of matrices would become thousands of operators; later versions don't do that.
    made._experimental_disable_batchmatmul_unfold = True
    if args.get("allow_flex"):
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return made


def _run_once(data: bytes, described: dict[str, Any], flex: list[str]) -> bool:
    """Whether the file could be run: a file without errors can still be one that no interpreter takes.

    False where this interpreter lacks the file's Flex operators; any other failure is refused.
    """
    try:
        interpreter = tf.lite.Interpreter(model_content=data)
        interpreter.allocate_tensors()
        entry = interpreter.get_input_details()[0]
        interpreter.set_tensor(entry["index"], numpy.zeros(entry["shape"], entry["dtype"]))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        if flex and NO_FLEX_HERE in str(error):
            return False
        raise protocol.Refused("the interpreter of TensorFlow %s can't run it: %s" % (tf.__version__, error)) from None
    for stated, detail in zip(described["outputs"], interpreter.get_output_details()):
        if interpreter.get_tensor(detail["index"]).shape != tuple(stated["shape"]):
            shape = list(interpreter.get_tensor(detail["index"]).shape)
            raise protocol.Refused("output %s comes out as %s, expected %s" % (stated["name"], shape, stated["shape"]))
    return True


def read_contract(folder: str) -> dict[str, Any]:
    contract: dict[str, Any] = protocol.read_json(os.path.join(folder, "contract.json"))
    return contract


def write_anchors(anchors: numpy.ndarray, contract: dict[str, Any]) -> None:
    """Write what callers need to decode boxes where the PostProcess operator is left out."""
    numpy.save(protocol.output_path("anchors.npy"), anchors)
    protocol.write_json(protocol.output_path("postprocess.json"), contract["postprocess"])


def keep_anchors(exported: str, contract: dict[str, Any]) -> None:
    """Write the same for a graph that was exported without the operator."""
    if contract["outputs"] == "raw":
        write_anchors(numpy.load(os.path.join(exported, "anchors.npy")), contract)
