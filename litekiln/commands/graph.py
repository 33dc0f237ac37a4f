"""`inv graph`: the picture of a .tflite file's graph, written where the user wants it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.engines.names import AUTO
from litekiln.errors import SourceError, UsageError
from litekiln.formats.tflite import begins_as_tflite
from litekiln.named_files import DRAWING, PICTURE, check_target, existing_model, write_named
from litekiln.paths import Project
from litekiln.plan.plan import Plan
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import DRAW_GRAPH
from litekiln.run.session import open_executor
from litekiln.terminal import Reporter
from litekiln.toolchains.toolchain import DRAW, Toolchain, toolchain_for
from litekiln.wording import size_text

LARGEST = 2**31 - 1  # a flatbuffer's offsets have 31 bits


@dataclass(frozen=True)
class Wanted:
    """The model to draw, and where each file of the picture goes."""

    model: Path
    files: dict[str, Path]


@dataclass(frozen=True)
class GraphRequest:
    """The file to draw, and where the picture goes; "" for the file's name in this folder."""

    file: str
    out: str = ""
    dot: bool = False
    engine: str = AUTO


def draw_graph(reporter: Reporter, project: Project, request: GraphRequest) -> dict[str, Any]:
    """Facts about the graph as data. Draws it as a step, writes the picture, and prints what is in the graph."""
    wanted = check_arguments(request.file, request.out, dot=request.dot)
    plan = plan_graph(project, toolchain_for(project, DRAW), wanted.model)
    with open_executor(project, request.engine, reporter) as (executor, _):
        finished = executor.run(plan).complete()["graph"]
    for name, target in wanted.files.items():
        write_named("--out", target, (finished.entry.files / name).read_bytes())
    result = finished.entry.result()
    _show(reporter, result)
    for target in wanted.files.values():
        reporter.note(f"wrote {target} ({size_text(target.stat().st_size)})")
    graph = {name: value for name, value in result.items() if name != "format"}
    return {"file": str(wanted.model), "written": [str(target) for target in wanted.files.values()], "graph": graph}


def check_arguments(file: str, out: str, *, dot: bool) -> Wanted:
    """The model and targets. Refuses wrong arguments before anything runs."""
    model = _model(file)
    picture = Path(out or f"{Path(file).stem}.svg").resolve()
    targets = {"graph.svg": picture}
    if dot:
        if picture.suffix == ".dot":
            msg = f"--out {out}: it names the picture, and --dot would overwrite it"
            raise UsageError(msg, remedy="name the picture: --out NAME.svg; NAME.dot is written beside it")
        targets["graph.dot"] = picture.with_suffix(".dot")
    for name, target in targets.items():
        check_target("--out", target, DRAWING if name.endswith(".dot") else PICTURE, reads=[model])
    return Wanted(model, targets)


def _model(file: str) -> Path:
    model = existing_model(file)
    with model.open("rb") as stream:
        known = begins_as_tflite(stream)
    if not known:
        msg = f"{file} is not a TFLite model: bytes 4 to 7 are not TFL3"
        cause = "it is another kind of file, such as a SavedModel's graph, or a web page that was downloaded instead"
        raise SourceError(msg, cause=cause, remedy="name a .tflite file")
    size = model.stat().st_size
    if size > LARGEST:
        msg = f"{file} is {size_text(size)}: a TFLite model is at most 2.15 GB"
        raise SourceError(msg, cause="something else follows the model in the file", remedy="name a .tflite file")
    return model.resolve()


def _show(reporter: Reporter, graph: dict[str, Any]) -> None:
    operators = sorted(graph["operators"].items(), key=lambda each: (-each[1], each[0]))
    reporter.table(("operator", "count"), [(name, str(count)) for name, count in operators])
    reporter.note("tensors: " + ", ".join(f"{count} {kind}" for kind, count in graph["types"].items()))
    ends = [(what, each) for what in ("input", "output") for each in graph[f"{what}s"]]
    rows = [(what, each["name"], each["type"], _shape(each["shape"]), _scale(each)) for what, each in ends]
    reporter.table(("", "name", "type", "shape", "scale"), rows)


def _shape(shape: list[int]) -> str:
    return "x".join("?" if size == -1 else str(size) for size in shape) or "-"


def _scale(tensor: dict[str, Any]) -> str:
    return "-" if tensor["scale"] is None else f"{tensor['scale']:.6g} at zero point {tensor['zero_point']}"


def plan_graph(project: Project, toolchain: Toolchain, model: Path) -> Plan:
    """The plan with one step: draw a .tflite file's graph."""
    builder = PlanBuilder(project, "graph")
    builder.add("graph", DRAW_GRAPH, toolchain, args={}, inputs={"model": builder.file(model)})
    return builder.plan()
