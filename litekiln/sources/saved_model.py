"""Read SavedModels without TensorFlow: their signatures' inputs and outputs, and whether one takes a picture."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.protowire import DTYPES, Message, read_message, shape_of
from litekiln.sources.damage import reading
from litekiln.sources.graph_operators import forbidden, node_name, reached_savers, read_graphs, refuse
from litekiln.sources.operators import Use
from litekiln.sources.picture_input import Tensor, fixed_picture

FILE = "saved_model.pb"
VARIABLES = "variables/variables"  # its checkpoint's prefix
DEFAULT = "serving_default"
# The output names of exporter_main_v2 of the Object Detection API.
TRAINING_EXPORT = {"detection_boxes", "detection_classes", "detection_scores", "num_detections"}
COPY_AGAIN = f"copy the whole folder again: {FILE}, variables/, assets/"
GIVE_CHECKPOINT = "give the training's checkpoint and its pipeline.config: the folder that has both"
SAVE_FIXED = (
    "save it with one signature for one picture: "
    "tf.saved_model.save(model, DIR, signatures=tf.function(model).get_concrete_function("
    "tf.TensorSpec([1, HEIGHT, WIDTH, 3], tf.float32)))"
)


@dataclass(frozen=True)
class Signature:
    """One way to call a model."""

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]

    @property
    def from_training(self) -> bool:
        """Whether the Object Detection API's own exporter wrote it."""
        return {each.name for each in self.outputs} >= TRAINING_EXPORT


@dataclass(frozen=True)
class SavedModel:
    """What a SavedModel says about itself."""

    tensorflow: str  # the version that wrote it
    signatures: dict[str, Signature]


def read_saved_model(folder: Path) -> SavedModel:
    """A SavedModel's first graph for serving. One that does more than compute is a SourceError."""
    path = folder / FILE
    with reading(path, "a SavedModel", COPY_AGAIN):
        graphs = read_message(path.read_bytes()).children(2)
        if not graphs:
            raise ValueError("it holds no graph")
        refuse(path, _forbidden(graphs))
        graph = next((each for each in graphs if b"serve" in each.child(1).fields.get(4, [])), graphs[0])
        found = {name: _signature(name, entry) for name, entry in graph.map(5).items() if not name.startswith("__")}
        return SavedModel(graph.child(1).text(5), found)


def refuse_actions(folder: Path) -> None:
    """Refuse a SavedModel that does more than compute. Nothing else is asked of it."""
    path = folder / FILE
    with reading(path, "a SavedModel", COPY_AGAIN):
        refuse(path, _forbidden(read_message(path.read_bytes()).children(2)))


def _forbidden(graphs: list[Message]) -> Iterator[Use]:
    """The operators that no model may have, and those that save, if a call of the model or loading it gets to them."""
    for each in graphs:
        graph = read_graphs(each.children(2))
        yield from forbidden(graph)
        yield from reached_savers(graph, _run_nodes(each), {name for root in each.children(7) for name in root.map(2)})


def _run_nodes(graph: Message) -> set[str]:
    """The nodes that are run: the results of signatures, what restores the variables, what is run after loading."""
    tensors = [info for signature in _values(graph, 5) for info in _values(signature, 2)]
    tensors += [part for info in tensors for composite in info.children(5) for part in composite.children(2)]
    names = [info.text(1) for info in tensors]
    names += [info.child(4).text(place) for info in tensors for place in (1, 2, 3)]  # of a sparse tensor
    names += [saver.text(3) for saver in graph.children(3)]
    names += [name for collection in _values(graph, 4) for nodes in collection.children(1) for name in nodes.texts(1)]
    return {node_name(name) for name in names}


def _values(message: Message, field: int) -> list[Message]:
    """The values of a map, also of an entry that has several: readers differ in which one counts."""
    return [value for entry in message.children(field) for value in entry.children(2)]


def _signature(name: str, message: Message) -> Signature:
    return Signature(name, _tensors(message.map(1)), _tensors(message.map(2)))


def _tensors(infos: dict[str, Message]) -> list[Tensor]:
    return [Tensor(name, DTYPES.get(info.number(2), "unknown"), shape_of(info.child(3))) for name, info in sorted(infos.items())]


def choose_signature(model: SavedModel, folder: Path, wanted: str) -> Signature:
    """The signature that the user names, else the default one, else the only one."""
    names = sorted(model.signatures)
    if not names:
        cause = "it was saved without a function to call, as tf.saved_model.save does for a bare module"
        raise SourceError(f"{folder / FILE} has no signature", cause=cause, remedy=SAVE_FIXED)
    if wanted and wanted not in model.signatures:
        raise SourceError(f"{folder / FILE} has no signature {wanted!r}", remedy=f"choose one: --signature {' or '.join(names)}")
    name = wanted or (DEFAULT if DEFAULT in names else names[0] if len(names) == 1 else "")
    if not name:
        msg = f"{folder / FILE} has several signatures, none of them called {DEFAULT}: {', '.join(names)}"
        raise SourceError(msg, cause="nothing says which one to use", remedy=f"--signature {names[0]}, or another of them")
    return model.signatures[name]


def picture_size(signature: Signature, where: Path) -> tuple[int, int]:
    """Height and width of the picture that goes in. Any other input is a SourceError."""
    if signature.from_training:
        raise SourceError(
            f"{where} is a training's export, which makes detections with TensorFlow's own operators: it has no TFLite form",
            cause="exporter_main_v2.py wrote it for servers; TFLite needs another graph, made from the checkpoint",
            remedy=GIVE_CHECKPOINT,
        )
    takes = f"{where}: signature {signature.name!r} takes {', '.join(map(str, signature.inputs)) or 'nothing'}"
    if len(signature.inputs) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="the model has several inputs, or none", remedy=SAVE_FIXED)
    return fixed_picture(signature.inputs[0], takes, SAVE_FIXED)


def newer_than(version: str, major: int, minor: int) -> bool:
    """Whether a version such as "2.21.0-rc1" belongs to a later minor release."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return bool(found) and (int(found[1]), int(found[2])) > (major, minor)  # type: ignore[index]
