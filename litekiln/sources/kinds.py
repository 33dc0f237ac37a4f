"""The kinds of sources that a model can be made from. One row each.

To add one, add its row here, its reader to recognise.py, a module of its own, and its programs to steps/.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of source, and the programs of steps/ that prepare it for converters.

    `export` writes contract.json and a SavedModel or model.tflite. `run` runs the source itself on pictures.
    """

    name: str
    words: str  # what messages call it
    export: str
    run: str
    freeze: str = ""  # runs before `export`, in TF1's toolchain
    checkpoint: bool = False  # a checkpoint of the Object Detection API, with its pipeline.config
    detector: bool = False  # always a detector: its classes have names
    tf1: bool = False
    asks_pixels: bool = False  # the recipe must say what pixels the network takes: the files don't
    finished: bool = False  # nothing is converted
    own_toolchain: bool = False  # exported and run in the recipe's export.toolchain
    finishes: bool = False  # that toolchain also annotates and verifies
    input: str = "model"  # the name of its file as an input of steps
    arguments: tuple[str, ...] = ()  # keys of [source] that `export` gets as arguments
    option: str = ""  # the key of [source] that no other kind has
    parts: tuple[str, ...] = ()  # the files of its folder that are copied; () for all
    holds: str = ""  # the contents of its folder beside a recipe; "" if it is one file
    file: str = ""  # the name of its file beside a recipe; "" for "model" with the file's own ending
    pattern: str = ""  # finds it in an archive
    memory: int = 1500  # peak of `export` and `run`, in MB


DETECTION_FOLDER = "pipeline.config, and the checkpoint in checkpoint/"
CALLED = ("signature", "function")  # arguments of the programs that load a model as Python

TF2_DETECTION = Kind(
    "tf2-detection",
    "the checkpoint",
    "export_detection.py",
    "run_detection.py",
    checkpoint=True,
    detector=True,
    own_toolchain=True,
    finishes=True,
    holds=DETECTION_FOLDER,
    memory=2200,
)
TF1_DETECTION = Kind(
    "tf1-detection",
    "the checkpoint",
    "lift_frozen.py",
    "run_frozen.py",
    freeze="export_tf1.py",
    checkpoint=True,
    detector=True,
    tf1=True,
    holds=DETECTION_FOLDER,
)
TF1_FROZEN = Kind(
    "tf1-frozen",
    "the frozen graph",
    "lift_frozen.py",
    "run_frozen.py",
    detector=True,
    tf1=True,
    asks_pixels=True,
    input="graph",
    file="tflite_graph.pb",
    pattern="tflite_graph.pb",
)
KERAS = Kind(
    "keras",
    "the Keras model",
    "export_keras.py",
    "run_model.py",
    asks_pixels=True,
    own_toolchain=True,
    arguments=CALLED,
    option="custom",
    pattern="*.keras",
)
SAVED_MODEL = Kind(
    "saved-model",
    "the SavedModel",
    "export_saved_model.py",
    "run_model.py",
    asks_pixels=True,
    own_toolchain=True,
    arguments=CALLED,
    option="signature",
    parts=("saved_model.pb", "variables", "assets", "assets.extra", "fingerprint.pb", "keras_metadata.pb"),
    holds="saved_model.pb, and the weights in variables/",
    pattern="saved_model.pb",
)
FUNCTION = Kind(
    "function",
    "the function",
    "export_function.py",
    "run_model.py",
    asks_pixels=True,
    own_toolchain=True,
    arguments=CALLED,
    option="function",
    holds="the code",
)
TFLITE = Kind(
    "tflite",
    "the finished file",
    "read_tflite.py",
    "run_tflite.py",
    finished=True,
    arguments=("outputs",),
    option="outputs",
    pattern="*.tflite",
)

KINDS = (TF2_DETECTION, TF1_DETECTION, TF1_FROZEN, KERAS, SAVED_MODEL, FUNCTION, TFLITE)
BY_NAME = {kind.name: kind for kind in KINDS}
TF1_NAMES = tuple(kind.name for kind in KINDS if kind.tf1)
