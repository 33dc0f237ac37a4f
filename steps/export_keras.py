"""Export a whole Keras model, an .h5 or .keras file, as the SavedModel that TFLite conversion takes."""

from __future__ import annotations

from typing import Any

import protocol

from source_model import exporting, keras_file


def export(args: dict[str, Any]) -> dict[str, Any]:
    return exporting.finish(args, *keras_file.load(args))


if __name__ == "__main__":
    protocol.main(export)
