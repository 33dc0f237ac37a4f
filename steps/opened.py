"""A bundle's detector, run by TensorFlow's own interpreter."""

import os


def detector(bundle, contract):
    import detector as detectors
    import interpreter  # only when a model is run: what can't be run is refused before

    path = os.path.join(bundle, "detect.tflite")
    return detectors.Detector(interpreter.Interpreter(path, num_threads=1), bundle, contract)
