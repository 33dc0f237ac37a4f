"""Export a function of the user's own code as the SavedModel that TFLite conversion takes."""

from __future__ import annotations

from typing import Any

import protocol

from source_model import exporting, function


def export(args: dict[str, Any]) -> dict[str, Any]:
    return exporting.finish(args, *function.load(args))


if __name__ == "__main__":
    protocol.main(export)
