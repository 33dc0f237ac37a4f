"""The kinds of sources: what a model can be made from. One row each.

Adding one is adding its row here and its reader to recognise.py, with a module of its own for each and programs in steps/.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind: what it holds, and which programs of steps/ make of it what converters take.

    `export` leaves contract.json and a SavedModel or model.tflite; `run` runs the source itself on pictures.
    """

    name: str
    words: str  # what messages call it
    export: str
    run: str
    freeze: str = ""  # what comes before `export`, in TF1's toolchain
    checkpoint: bool = False  # a checkpoint of the Object Detection API, with its pipeline.config
    detector: bool = False  # always one: its classes have names
    tf1: bool = False
    told: bool = False  # its files don't say what a pixel has to be: the recipe does
    finished: bool = False  # nothing is converted
    own_toolchain: bool = False  # exported and run in the recipe's export.toolchain
    finishes: bool = False  # that toolchain also annotates and verifies
    input: str = "model"  # what its file is called as an input of steps
    arguments: tuple[str, ...] = ()  # keys of [source] that `export` is told
    option: str = ""  # the key of [source] that no other kind has
    parts: tuple[str, ...] = ()  # what of its folder is copied; () for all
    holds: str = ""  # what its folder beside a recipe has in it; "" where it is one file
    file: str = ""  # what its file beside a recipe is called; "" for "model" with its own ending
    pattern: str = ""  # what it is in an archive
    memory: int = 1500  # of `export` and `run` at their peak, in MB


DETECTION_FOLDER = "pipeline.config, and the checkpoint in checkpoint/"
CALLED = ("signature", "function")  # what programs that load a model as Python are told of it

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
    told=True,
    input="graph",
    file="tflite_graph.pb",
    pattern="tflite_graph.pb",
)
KERAS = Kind(
    "keras",
    "the Keras model",
    "export_keras.py",
    "run_model.py",
    told=True,
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
    told=True,
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
    told=True,
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
