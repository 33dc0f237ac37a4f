"""Find out what a source is by looking inside.

A checkpoint, a SavedModel, a frozen graph, a Keras file, a .tflite, a function.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import check_complete, index_file
from litekiln.plain_files import plain_file, unreadable
from litekiln.sources.api_checkpoint import CONFIG, DEEPEST, Findings, inspect_source
from litekiln.sources.frozen_graph import is_graph, read_graph
from litekiln.sources.keras_file import is_keras, read_keras
from litekiln.sources.kinds import FUNCTION, KERAS, SAVED_MODEL, TF1_DETECTION, TF1_FROZEN, TFLITE
from litekiln.sources.saved_model import FILE, VARIABLES, choose_signature, newer_than, picture_size, read_saved_model
from litekiln.sources.tflite_source import is_tflite, read_tflite

OLD_TENSORFLOW = (2, 13)  # the newest version whose files the usual exporter loads
SERVER_GRAPH = "frozen_inference_graph.pb"
PATTERNS = (FILE, "*.pb", "*.keras", "*.h5", "*.hdf5", "*.tflite")
BESIDE_SAVED_MODEL = ("keras_metadata.pb", "fingerprint.pb")
KNOWN = (
    f"give a checkpoint with its {CONFIG}, a SavedModel, a tflite_graph.pb, a whole Keras model (.keras, .h5), a .tflite, "
    "or code: --function package.module:attribute"
)
SAVE_NEW = "; if none of them is yours: model.save('model.keras'), which records where each class is from"
SEVERAL = "give one of them alone; if they are in an archive, unpack it first"


@dataclass(frozen=True)
class Found:
    """What a recipe and a plan need to know about a source."""

    kind: str
    what: str  # in words
    path: Path  # the file or folder that is copied; a checkpoint's prefix
    height: int = 0  # 0: known only when it runs
    width: int = 0
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    newer: bool = False  # written by a newer TensorFlow or Keras than the usual exporter loads
    quantization_aware: bool = False
    postprocess: bool = False  # has the PostProcess operator, or gets it
    classes: int = 0  # 0: unknown
    max_detections: int = 0  # the same
    signature: str = ""
    variant: str = ""  # of a finished model
    suffix: str = ""  # of the file's true form, whatever its name
    checkpoint: Findings | None = None

    @property
    def size(self) -> str:
        return f"{self.width}x{self.height}" if self.height else ""


@dataclass(frozen=True)
class Named:
    """What the user says about a source, because it can't be found out or should not be guessed."""

    signature: str = ""
    custom: Path | None = None
    function: str = ""
    labels: Path | None = None


def recognise(place: Path, named: Named = Named()) -> Found:
    """What a file is, or what a folder holds."""
    if named.function:
        return _function(place, named.function)
    if place.is_file():
        return _file(place, named)
    if _at_any_depth(place, CONFIG) and _has_checkpoint(place):
        return of_checkpoint(inspect_source(place, named.labels), place)
    candidates = _candidates(place)
    if len(candidates) > 1:
        shown = ", ".join(path.relative_to(place).as_posix() for path in candidates)
        raise SourceError(f"{place} holds several models: {shown}", cause="nothing says which one to use", remedy=SEVERAL)
    if candidates:
        return _file(candidates[0], named)
    return of_checkpoint(inspect_source(place, named.labels), place)


def of_checkpoint(findings: Findings, place: Path | None = None) -> Found:
    pipeline = findings.pipeline
    notes = list(findings.notes)
    beside = _at_any_depth(place, FILE) if place else []
    if beside:
        notes.append(f"{beside[0].parent} is an export of the same training: the checkpoint is used")
    what = f"{pipeline.architecture} ({pipeline.feature_extractor}), input {pipeline.width}x{pipeline.height}"
    return Found(
        kind=findings.kind,
        what=f"{what}, checkpoint {findings.prefix.name}{', quantization-aware' if _aware(findings) else ''}",
        path=findings.prefix,
        height=pipeline.height,
        width=pipeline.width,
        notes=notes,
        warnings=list(findings.warnings),
        quantization_aware=_aware(findings),
        postprocess=pipeline.architecture == "ssd",
        classes=pipeline.num_classes,
        checkpoint=findings,
    )


def _aware(findings: Findings) -> bool:
    return findings.kind == TF1_DETECTION.name and findings.pipeline.quantization_aware


def _at_any_depth(folder: Path, pattern: str) -> list[Path]:
    return [path for depth in range(DEEPEST + 1) for path in sorted(folder.glob("*/" * depth + pattern))]


def _has_checkpoint(folder: Path) -> bool:
    """Whether a folder has a checkpoint. A SavedModel's variables don't count."""
    found = [*_at_any_depth(folder, "*.index"), *folder.glob("*/" * (DEEPEST + 1) + "*.index")]
    return any(not (path.parent.parent / FILE).is_file() for path in found)


def _candidates(folder: Path) -> list[Path]:
    """The models in a folder, without the files that belong to one of them."""
    found = {path for pattern in PATTERNS for path in _at_any_depth(folder, pattern) if path.is_file()}
    saved = {path.parent for path in found if path.name == FILE}
    found = {path for path in found if path.name == FILE or not saved & set(path.parents)}
    for useless in (SERVER_GRAPH, ".weights.h5"):
        found = {path for path in found if not path.name.endswith(useless)} or found
    return sorted(path for path in found if path.name not in BESIDE_SAVED_MODEL)


def _file(path: Path, named: Named) -> Found:
    """What a file is, by its first bytes. If these say nothing, its name decides which reader reports the problem."""
    plain_file(path)
    if path.name == CONFIG:
        return of_checkpoint(inspect_source(path.parent, named.labels), path.parent)
    if path.name == FILE:
        return _saved_model(path.parent, named)
    readers: tuple[tuple[Callable[[Path], bool], tuple[str, ...], Callable[[Path, Named], Found]], ...] = (
        (is_tflite, (".tflite",), _tflite),
        (is_keras, (".keras", ".h5", ".hdf5"), _keras),
        (lambda path: path.suffix == ".pb" and is_graph(path), (".pb",), _graph),
    )
    try:
        reader = next((reader for is_one, _, reader in readers if is_one(path)), None)
    except OSError as error:
        raise unreadable(path, error) from None
    reader = reader or next((reader for _, suffixes, reader in readers if path.suffix.lower() in suffixes), None)
    if not reader:
        raise SourceError(f"{path} is of an unknown kind", cause="its first bytes are not those of a model", remedy=KNOWN)
    return reader(path, named)


def _saved_model(folder: Path, named: Named) -> Found:
    model = read_saved_model(folder)
    trained = folder.parent
    if any(each.from_training for each in model.signatures.values()) and (trained / CONFIG).is_file() and _has_checkpoint(trained):
        return of_checkpoint(inspect_source(trained, named.labels), trained)
    signature = choose_signature(model, folder, named.signature)
    height, width = picture_size(signature, folder / FILE)
    _check_variables(folder)
    return Found(
        kind=SAVED_MODEL.name,
        what=f"a SavedModel of TensorFlow {model.tensorflow or '?'}, signature {signature.name}, input {width}x{height}, "
        f"outputs {', '.join(each.name for each in signature.outputs)}",
        path=folder,
        height=height,
        width=width,
        newer=newer_than(model.tensorflow, *OLD_TENSORFLOW),
        signature=signature.name,
    )


def _check_variables(folder: Path) -> None:
    """Refuse a SavedModel without weights: they have a folder of their own, which is easily left behind."""
    prefix = folder / VARIABLES
    if index_file(prefix).is_file():
        check_complete(prefix)
    elif b"VarHandleOp" in (folder / FILE).read_bytes():
        raise SourceError(
            f"{folder} has no variables/: the weights are missing",
            cause=f"only {FILE} was copied",
            remedy=f"copy the whole folder: {FILE}, variables/, assets/",
        )


def _graph(path: Path, _: Named) -> Found:
    graph = read_graph(path)
    aware = ", quantization-aware" if graph.quantization_aware else ""
    end = "" if graph.postprocess else ", without the PostProcess operator"
    return Found(
        kind=TF1_FROZEN.name,
        what=f"a frozen graph of TF1 for TFLite, input {graph.width}x{graph.height}{aware}{end}",
        path=path,
        height=graph.height,
        width=graph.width,
        quantization_aware=graph.quantization_aware,
        postprocess=graph.postprocess,
        classes=graph.classes,
        max_detections=graph.max_detections,
        suffix=".pb",
    )


def _keras(path: Path, named: Named) -> Found:
    model = read_keras(path)
    if model.packed:
        raise SourceError(
            f"{path} has code packed into it, in {', '.join(model.packed)}: a Lambda layer with a lambda",
            cause="the code is bytecode of one Python: other versions can't read it, and it could do anything",
            remedy="write it as a class with call(), build the model with that, load its weights, save it; then --custom FILE.py",
        )
    if model.custom and not named.custom:
        raise SourceError(
            f"{path} uses what Keras does not have: {', '.join(model.custom)}",
            cause="the file holds their names, not their code",
            remedy=f"give the Python file that defines them: --custom FILE.py{SAVE_NEW if model.suffix == '.h5' else ''}",
        )
    if named.custom:
        _check_custom(model.custom, named.custom)
    return Found(
        kind=KERAS.name,
        what=f"a model of Keras {model.version}, input {model.width}x{model.height}",
        path=path,
        height=model.height,
        width=model.width,
        newer=model.major != 2,
        suffix=model.suffix,
    )


def _check_custom(wanted: list[str], path: Path) -> None:
    plain_file(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} could not be read: {error}", remedy="give a Python file in UTF-8: --custom FILE.py") from None
    missing = [name for name in wanted if not re.search(rf"\b{re.escape(name.split('>')[-1])}\b", text)]
    if missing:
        cause = "the model was saved with these names"
        raise SourceError(f"{path} does not define {', '.join(missing)}", cause=cause, remedy="--custom with the file that does")


def _tflite(path: Path, _: Named) -> Found:
    model = read_tflite(path)
    end = " with the PostProcess operator" if model.postprocess else f", {len(model.outputs)} outputs"
    return Found(
        kind=TFLITE.name,
        what=f"a finished .tflite, {model.variant}, input {model.width}x{model.height} {model.input_type}{end}",
        path=path,
        height=model.height,
        width=model.width,
        postprocess=model.postprocess,
        classes=model.classes,
        max_detections=model.max_detections,
        variant=model.variant,
        suffix=".tflite",
    )


def _function(folder: Path, function: str) -> Found:
    """Code that makes a model. A step runs it and finds out the rest."""
    module, attribute = function.split(":")
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such folder"
        raise SourceError(f"{folder}: {problem}", remedy=f"give the folder that holds {module.split('.')[0]}: --source DIR")
    stem = folder.joinpath(*module.split("."))
    path = next((each for each in (stem.with_name(stem.name + ".py"), stem / "__init__.py") if each.is_file()), None)
    if not path:
        inside = (folder / "__init__.py").is_file() and module.split(".")[0] == folder.name
        cause = "the folder is the package itself" if inside else f"it holds: {', '.join(sorted(_names(folder))) or 'nothing'}"
        remedy = f"--source {folder.parent}" if inside else "give the folder that the module is imported from"
        raise SourceError(f"{folder} has no module {module}", cause=cause, remedy=remedy)
    text = path.read_text(encoding="utf-8", errors="replace")
    if not re.search(rf"\b{attribute}\b", text) and "import *" not in text:
        raise SourceError(f"{path} has no {attribute!r}", remedy="--function package.module:attribute, as it is in the code")
    return Found(kind=FUNCTION.name, what=f"the function {function}", path=folder)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith((".", "__pycache__"))][:8]
