"""From a recipe's source to what converters take: the first steps of a plan, one way for each kind of source.

Whatever the kind, they end in one step whose output has `contract.json` (what a picture has to look like, and what comes out) and
what a converter reads: `saved_model/` and, from TF1, `tflite_graph.pb`; or, where the source is finished, `model.tflite`.
"""

from typing import Any

from litekiln.errors import SourceError
from litekiln.paths import Project
from litekiln.plan.plan import Input, PlanBuilder
from litekiln.recipes.recipe import Recipe
from litekiln.sources.api_checkpoint import Findings, inspect_source
from litekiln.sources.find import check_kind
from litekiln.sources.layout import CHECKPOINT, READY, SOURCE, VERSION
from litekiln.toolchains.toolchain import Toolchain, load_toolchain

TF1, FINISHER = "tf1.15", "tf2.13"
RAW = " raw"  # of a step that leaves the PostProcess operator out
# At their peak, in MB.
MEMORY = {"tf2-detection": 2200, "tf1-detection": 1500, "other": 1500}
PROGRAMS = {"keras": "export_keras.py", "saved-model": "export_saved_model.py", "function": "export_function.py"}


class SourceSteps:
    """Adds the steps that make what converters take. `exported` names the last of them."""

    def __init__(self, project: Project, recipe: Recipe, steps: PlanBuilder, *, force_export: bool) -> None:
        self._project = project
        self._recipe = recipe
        self._source = recipe.spec.source
        self._steps = steps
        self._force_export = force_export

    @property
    def finisher(self) -> Toolchain:
        """The toolchain that annotates and verifies: the exporter's, where that is a modern one with all its tools."""
        exporter = self._recipe.spec.export.toolchain
        return load_toolchain(self._project, exporter if self._source.kind == "tf2-detection" else FINISHER)

    def exported(self, *, raw: bool = False) -> str:
        """The id of the step that makes it, added at its first use. `raw` leaves the PostProcess operator out."""
        step = f"export{RAW if raw else ''}"
        if step not in self._steps:
            kind = self._source.kind
            if kind == "tf2-detection":
                self._tf2_detection(step)
            elif kind == "tf1-detection":
                self._tf1_detection(step, raw=raw)
            elif kind == "tf1-frozen":
                self._frozen(step, {"graph": self.file()}, raw=raw)
            elif kind == "tflite":
                self._tflite(step)
            else:
                self._saved_model(step)
        return step

    def detection(self) -> tuple[dict[str, Input], str]:
        """The configuration, the checkpoint's folder, and the checkpoint's name in it."""
        if self._source.folder:
            found, folder = self._found(), self._recipe.folder / self._source.folder
            inputs = {"config": self._steps.file(found.pipeline_path), "checkpoint": self._steps.file(found.prefix.parent)}
            ready = next((place for place in (folder / "ready" / READY, folder / READY) if place.is_file()), None)
            return {**inputs, **({"ready": self._steps.file(ready.parent)} if ready else {})}, found.prefix.name
        self._fetch()
        parts = {"config": "pipeline.config", "checkpoint": "checkpoint"}
        if self._source.kind == "tf1-detection":
            parts["ready"] = "ready"  # a folder, empty where the archive has no finished graph
        return {name: self._steps.output("fetch", path) for name, path in parts.items()}, CHECKPOINT

    def file(self) -> Input:
        """The source where it is one file or folder."""
        if self._source.url:
            self._fetch()
            return self._steps.output("fetch", SOURCE)
        return self._steps.file(self._recipe.folder / (self._source.file or self._source.folder))

    def _found(self) -> Findings:
        found = inspect_source(self._recipe.folder / self._source.folder, self._recipe.labels)
        check_kind(found)
        if found.kind != self._source.kind:
            msg = f"models/{self._recipe.name}: the recipe says kind {self._source.kind!r}, its source is of kind {found.kind!r}"
            raise SourceError(msg, cause="the checkpoint was exchanged", remedy=f'write kind = "{found.kind}" into its model.toml')
        return found

    def _fetch(self) -> None:
        source = self._source
        remote = source.remote(self._recipe.folder)
        args = {"url": remote.url, "digest": remote.digest, "size": remote.size, "version": VERSION}
        what = {"kind": source.kind, "member": source.member}
        self._steps.add("fetch", "fetch model", None, args={**args, **what}, inputs={}, memory=100)

    def _detection_args(self, prefix: str) -> dict[str, Any]:
        export = self._recipe.spec.export
        return {"prefix": prefix, "max_detections": export.max_detections, "nms": export.nms}

    def _tf2_detection(self, step: str) -> None:
        inputs, prefix = self.detection()
        self._export(step, "export_detection.py", self._detection_args(prefix), inputs)

    def _tf1_detection(self, step: str, *, raw: bool) -> None:
        """TF1's exporter writes a frozen graph; the modern converters take it as a SavedModel."""
        inputs, prefix = self.detection()
        args = {**self._detection_args(prefix), "raw": raw, "force": self._force_export}
        frozen = f"freeze{RAW if raw else ''}"
        memory = MEMORY["tf1-detection"]
        self._steps.add(frozen, "export_tf1.py", load_toolchain(self._project, TF1), args=args, inputs=inputs, memory=memory)
        self._frozen(step, {"frozen": self._steps.output(frozen)}, raw=raw)

    def _frozen(self, step: str, inputs: dict[str, Input], *, raw: bool) -> None:
        args = {"raw": raw, **self._pixels()}
        self._steps.add(step, "lift_frozen.py", self.finisher, args=args, inputs=inputs, memory=MEMORY["other"])

    def _tflite(self, step: str) -> None:
        args = {"outputs": list(self._source.outputs), **self._pixels()}
        self._steps.add(step, "read_tflite.py", self.finisher, args=args, inputs={"model": self.file()}, memory=600)

    def _saved_model(self, step: str) -> None:
        args = {**self._pixels(), **self._model_args()}
        self._export(step, PROGRAMS[self._source.kind], args, self._model_inputs())

    def _model_args(self) -> dict[str, Any]:
        return {"signature": self._source.signature, "function": self._source.function}

    def _model_inputs(self) -> dict[str, Input]:
        inputs = {"model": self.file()}
        if self._source.custom:
            inputs["custom"] = self._steps.file(self._recipe.folder / self._source.custom)
        return inputs

    def observed(self, pictures: Input, name: str, told: dict[str, Any], exported: Input, *, fake_quant: bool) -> str:
        """The id of the step that runs the source itself on pictures: nothing of what is made of it is used."""
        suffix = exported.step.removeprefix("export")
        step = f"source on {name}{', fake-quantized' if fake_quant else ''}{suffix}"
        if step in self._steps:
            return step
        kind, toolchain, args = self._source.kind, self.finisher, dict(told)
        inputs = {"pictures": pictures, "exported": exported}
        if kind == "tf2-detection":
            parts, prefix = self.detection()
            inputs = {"pictures": pictures, "config": parts["config"], "checkpoint": parts["checkpoint"]}
            program, args = "run_detection.py", {**told, **self._detection_args(prefix)}
        elif kind in ("tf1-detection", "tf1-frozen"):
            program, args = "run_frozen.py", {**told, "fake_quant": fake_quant}
            toolchain = load_toolchain(self._project, TF1) if kind == "tf1-detection" else self.finisher
        elif kind == "tflite":
            program, inputs = "run_tflite.py", {**inputs, "model": self.file()}
        else:
            program, toolchain = "run_model.py", load_toolchain(self._project, self._recipe.spec.export.toolchain)
            args, inputs = {**told, "kind": kind, **self._model_args()}, {**inputs, **self._model_inputs()}
        self._steps.add(step, program, toolchain, args=args, inputs=inputs, memory=MEMORY.get(kind, MEMORY["other"]))
        return step

    def _export(self, step: str, program: str, args: dict[str, Any], inputs: dict[str, Input]) -> None:
        toolchain = load_toolchain(self._project, self._recipe.spec.export.toolchain)
        memory = MEMORY.get(self._source.kind, MEMORY["other"])
        self._steps.add(step, program, toolchain, args=args, inputs=inputs, memory=memory)

    def _pixels(self) -> dict[str, Any]:
        """What the recipe says of the input; nothing where it leaves that to the source."""
        told = self._recipe.spec.input
        if not told:
            return {}
        return {"mean": told.channels("mean"), "std": told.channels("std"), "resize": told.resize}
