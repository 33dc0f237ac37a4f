"""Export one signature of a SavedModel as the SavedModel that TFLite conversion takes: one picture in, named outputs."""

from __future__ import annotations

from typing import Any

import protocol

from source_model import exporting, saved_model


def export(args: dict[str, Any]) -> dict[str, Any]:
    call, spec, weights, name = saved_model.load_signature(args)
    result = exporting.finish(args, call, spec, weights)
    result["overrides"]["signature"] = name
    return result


if __name__ == "__main__":
    protocol.main(export)
