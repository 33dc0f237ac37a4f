"""Quantize a calibrated model to an integer variant: int8, int8-io, int8-raw or int16x8."""

from __future__ import annotations

from typing import Any

import protocol

from tflite_file import converted, flat, quantizing, variants


def convert(args: dict[str, Any]) -> dict[str, Any]:
    calibrated = protocol.input_path("calibrated")
    model, contract = quantizing.read(calibrated), converted.read_contract(calibrated)
    variant = variants.of(args)
    converted.refuse_raw(variant, contract)
    if variant.raw and contract["outputs"] == "postprocess":
        converted.write_anchors(flat.cut_postprocess(model), contract)
    return converted.finish(quantizing.quantize(model, variant, contract, args.get("keep_float", ())), args, contract)


if __name__ == "__main__":
    protocol.main(convert)
