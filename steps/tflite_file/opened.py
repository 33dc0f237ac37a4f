"""A bundle's detector, run by TensorFlow's own interpreter."""

from __future__ import annotations

import os
from typing import Any

from detection import detector as detectors
from tflite_file import flat, interpreter


def detector(bundle: str, contract: dict[str, Any], full: bool = False) -> detectors.Detector:
    """The detector of a bundle. `full`: its model has operators that only full TensorFlow can run."""
    path = os.path.join(bundle, "detect.tflite")
    return detectors.Detector(interpreter.Interpreter(path, full=full), bundle, contract)


def edited(model: Any, bundle: str, contract: dict[str, Any]) -> detectors.Detector:
    """The detector of a bundle whose file is another one: this model."""
    return detectors.Detector(interpreter.Interpreter(model_content=flat.write(model)), bundle, contract)
