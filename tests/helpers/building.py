"""A build of the test project `demo` with small step programs, up to its bundles."""

from collections.abc import Callable
from pathlib import Path

from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.plan.build_plan import Choices, plan_build
from litekiln.recipes.recipe import load_recipe
from litekiln.run.schedule import Run
from litekiln.run.write_bundle import Bundle, write_bundles
from tests.helpers.running import run_to_end, write_program

EXPORT = """
weights = {"equal": True, "values": 1, "variables": 1}
pixels = {"height": 320, "width": 256, "mean": [127.5] * 3, "std": [127.5] * 3, "range": [-1.0, 1.0], "resize": "stretch"}
contract = dict(pixels, classes=3, max_detections=10, outputs="postprocess")
return {"contract": contract, "weights": weights, "overrides": {}, "max_detections": 10}
"""
CONVERT = """
described = {"inputs": [], "outputs": [], "operators": {}}
open(protocol.output_path("detect.tflite"), "w").write(args["variant"] * 1000)
return dict(described, tensorflow="0")
"""
ANNOTATE = """
import hashlib
text = open("in/converted/detect.tflite").read()
open(protocol.output_path("detect.tflite"), "w").write(text)
open(protocol.output_path("labelmap.txt"), "w").write("\\n".join(args["labels"]))
return {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest(), "input_type": "float32"}
"""
VERIFY = "return {'checks': [], 'edge_tpu': {'ready': False}}"
MEASURE = "return {'speed': {'threads': []}, 'xnnpack': {}, 'compiled': {}}"
TIMED = {"threads": 1, "median_ms": 9.0, "fastest_ms": 8.5, "runs": 50}
STEPS = {
    "export_detection.py": EXPORT,
    "run_detection.py": "return {}",
    "convert_float.py": CONVERT,
    "annotate.py": ANNOTATE,
    "verify.py": VERIFY,
    "trace_errors.py": "return {}",
    "measure_speed.py": MEASURE,
}
COMMAND = "inv build --model demo"
PLAIN = Choices()


def write_steps(project: Project, **others: str) -> None:
    """Write the step programs; `others` replace the bodies of some."""
    for name, body in STEPS.items():
        write_program(project, others.get(name.removesuffix(".py"), body), name)


def make_bundles(
    project: Project, choices: Choices = PLAIN, command: str = COMMAND, say: Callable[[str], None] = print
) -> tuple[list[Bundle], Run]:
    """Build what can be built of the demo."""
    recipe = load_recipe(project, "demo")
    plan = plan_build(project, recipe, choices)
    result = run_to_end(project, plan)
    with Lease(project.state) as lease:
        return write_bundles(project, recipe, plan, result, lease, command, say), result


def build_demo(project: Project) -> list[Path]:
    """Build the whole demo; the folders of its bundles."""
    write_steps(project)
    return [bundle.folder for bundle in make_bundles(project)[0]]
