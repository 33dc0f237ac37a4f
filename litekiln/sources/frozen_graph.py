"""Read frozen graphs without TensorFlow. TF1's graph for TFLite is accepted, its graph for servers is not."""

from dataclasses import dataclass
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.protowire import DTYPES, Message, read_message, shape_of
from litekiln.sources.damage import reading
from litekiln.sources.graph_operators import forbidden_in_frozen, refuse
from litekiln.sources.picture_input import Tensor, fixed_picture
from litekiln.wording import listed

POSTPROCESS = "TFLite_Detection_PostProcess"
RAW = {"raw_outputs/box_encodings", "raw_outputs/class_predictions"}
SERVER_INPUT = "image_tensor"  # of a graph that export_inference_graph.py wrote
EXPORT_AGAIN = "give the training's checkpoint and pipeline.config; or the tflite_graph.pb that export_tflite_ssd_graph.py writes"


@dataclass(frozen=True)
class Graph:
    """A tflite_graph.pb."""

    height: int
    width: int
    postprocess: bool
    classes: int  # 0 if the graph doesn't say
    max_detections: int  # the same
    quantization_aware: bool


def is_graph(path: Path) -> bool:
    """Whether a .pb begins with a node, as a graph does. A SavedModel begins with a number."""
    with path.open("rb") as stream:
        return stream.read(1) == b"\x0a"


def read_graph(path: Path) -> Graph:
    with reading(path, "a frozen graph", EXPORT_AGAIN):
        graph = read_message(path.read_bytes())
        refuse(path, forbidden_in_frozen(graph))
        return _looked_into(path, graph.children(1))


def refuse_actions(path: Path) -> None:
    """Refuse a frozen graph that does more than compute. Nothing else is asked of it."""
    with reading(path, "a frozen graph", EXPORT_AGAIN):
        refuse(path, forbidden_in_frozen(read_message(path.read_bytes())))


def _looked_into(path: Path, nodes: list[Message]) -> Graph:
    if not nodes or not all(node.text(1) and node.text(2) for node in nodes):
        raise ValueError("its nodes have no names" if nodes else "it has no nodes")
    inputs = [node for node in nodes if node.text(2) == "Placeholder"]
    finish = next((node for node in nodes if node.text(2) == POSTPROCESS), None)
    if any(node.text(1) == SERVER_INPUT for node in inputs):
        raise _for_servers(path)
    if not finish and not {node.text(1) for node in nodes} >= RAW:
        raise _generic(path, nodes, [_placeholder(node) for node in inputs])
    tensors = [_placeholder(node) for node in inputs]
    takes = f"{path} takes {', '.join(map(str, tensors)) or 'nothing'}"
    if len(tensors) != 1:
        raise SourceError(f"{takes}: one picture is expected", cause="more than the model was frozen into it", remedy=EXPORT_AGAIN)
    height, width = fixed_picture(tensors[0], takes, EXPORT_AGAIN)
    attributes = finish.map(5) if finish else {}
    classes, most = (attributes[key].number(3) if key in attributes else 0 for key in ("num_classes", "max_detections"))
    aware = any(node.text(2).startswith("FakeQuant") for node in nodes)
    return Graph(height, width, bool(finish), classes, most, aware)


def _placeholder(node: Message) -> Tensor:
    attributes = node.map(5)
    dtype = DTYPES.get(attributes["dtype"].number(6), "unknown") if "dtype" in attributes else "unknown"
    return Tensor(node.text(1), dtype, shape_of(attributes["shape"].child(7)) if "shape" in attributes else None)


def _generic(path: Path, nodes: list[Message], inputs: list[Tensor]) -> SourceError:
    """The error for another frozen graph, with what seems to go in and to come out."""
    read = {name.removeprefix("^").partition(":")[0] for node in nodes for name in node.texts(3)}
    last = [node.text(1) for node in nodes if node.text(1) not in read and node.text(2) not in ("Placeholder", "Const", "NoOp")]
    ends = f"takes {listed([str(each) for each in inputs]) or 'nothing'}, and nothing reads what {listed(last) or 'no node'} gives"
    return SourceError(
        f"{path} is a frozen graph of another kind than TF1's for TFLite: it {ends}",
        cause=f"it has neither {POSTPROCESS} nor {' and '.join(sorted(RAW))}; and a frozen graph does not say what its outputs are",
        remedy="save the model as a SavedModel with a signature; for a detector, give checkpoint and pipeline.config",
    )


def _for_servers(path: Path) -> SourceError:
    """The error for a frozen_inference_graph.pb. Its remedy names a checkpoint that lies beside it."""
    beside = next((each for each in sorted(path.parent.glob("*.index")) if each.with_suffix("").name), None)
    config = (path.parent / "pipeline.config").is_file()
    remedy = EXPORT_AGAIN
    if beside and config:
        remedy = f"give the checkpoint beside it: --source {beside.with_suffix('')}"
    elif beside:
        name = beside.with_suffix("").name
        remedy = f"its checkpoint {name} is beside it: copy the training's pipeline.config there and give the folder"
    return SourceError(
        f"{path} is a frozen graph for servers (its input is {SERVER_INPUT}): it has no TFLite form",
        cause="export_inference_graph.py wrote it, with the detections made by TensorFlow's own operators",
        remedy=remedy,
    )
