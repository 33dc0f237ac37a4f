"""The first steps of a plan: they turn a recipe's source into what converters read, by the row of its kind.

For every kind they end in one step. Its output has `contract.json` (what pictures must look like, and what the model gives) and
what a converter reads: `saved_model/` and, from TF1, `tflite_graph.pb`; or, where the source is finished, `model.tflite`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from litekiln.errors import SourceError
from litekiln.plan import programs
from litekiln.plan.plan import Input
from litekiln.plan.plan_builder import PlanBuilder
from litekiln.plan.programs import Program
from litekiln.recipes.recipe import Recipe
from litekiln.sources.kinds import BY_NAME
from litekiln.sources.layout import CHECKPOINT, READY, SOURCE, VERSION
from litekiln.toolchains.toolchain import EXPORT, FINISH, TF1, Toolchain
from litekiln.variants import Variant


@dataclass(frozen=True)
class Exported:
    """What converters read: a step's output, and the suffix of its id where the PostProcess operator is left out."""

    output: Input
    suffix: str = ""


@dataclass(frozen=True)
class _Checkpoint:
    """What a plan needs to know about a complete checkpoint folder."""

    kind: str
    config: Path
    prefix: Path


class SourceSteps:
    """Adds the steps that make what converters read. `exported` gives the last one's output."""

    def __init__(self, recipe: Recipe, steps: PlanBuilder, *, force_export: bool) -> None:
        self._recipe = recipe
        self._source = recipe.spec.source
        self._kind = BY_NAME[recipe.spec.source.kind]
        self._steps = steps
        self._toolchains = steps.once.toolchains
        self._force_export = force_export

    @cached_property
    def finisher(self) -> Toolchain:
        """The toolchain that annotates and verifies: the exporter's where that has the tools, else the one with this role."""
        return self._exporter if self._kind.finishes else self._toolchains.with_role(FINISH)

    @cached_property
    def tf1(self) -> Toolchain:
        return self._toolchains.with_role(TF1)

    @cached_property
    def _exporter(self) -> Toolchain:
        """The recipe's toolchain for exporting, else the one with this role."""
        named = self._recipe.spec.export.toolchain
        return self._toolchains.named(named) if named else self._toolchains.with_role(EXPORT)

    def exported(self, *, raw: bool = False) -> Exported:
        """What converters read; the first call adds its steps. `raw` leaves the PostProcess operator out."""
        suffix = " raw" if raw else ""
        step = f"export{suffix}"
        if step not in self._steps:
            self._export(step, suffix, raw=raw)
        return Exported(self._steps.output(step), suffix)

    def _export(self, step: str, suffix: str, *, raw: bool) -> None:
        kind = self._kind
        inputs, args = self._parts()
        if kind.freeze:  # TF1's exporter writes a frozen graph; the modern converters take it as a SavedModel
            frozen = f"freeze{suffix}"
            asked = {**args, "raw": raw, "force": self._force_export}
            self._steps.add(frozen, self._program(kind.freeze), self.tf1, args=asked, inputs=inputs)
            inputs, args = {"frozen": self._steps.output(frozen)}, {}
        if kind.tf1:
            args["raw"] = raw
        if kind.freeze or not kind.checkpoint:
            args |= self._pixels()
        toolchain = self._exporter if kind.own_toolchain else self.finisher
        self._steps.add(step, self._program(kind.export), toolchain, args=args, inputs=inputs)

    def _program(self, file: str) -> Program:
        """The program's row. For a finished file, both programs run it in the interpreter."""
        return Program(file, memory=self._kind.memory, runs_model=self._kind.finished, judges=file == self._kind.run)

    def _parts(self) -> tuple[dict[str, Input], dict[str, Any]]:
        """The source as a step's inputs, and its arguments from the recipe."""
        if self._kind.checkpoint:
            inputs, prefix = self.detection()
            return inputs, self._detection_args(prefix)
        inputs = {self._kind.input: self.file()}
        if self._source.custom:
            inputs["custom"] = self._steps.file(self._recipe.folder / self._source.custom)
        return inputs, self._named()

    def _named(self) -> dict[str, Any]:
        return {name: getattr(self._source, name) for name in self._kind.arguments}

    def detection(self) -> tuple[dict[str, Input], str]:
        """The configuration, the checkpoint's folder, and the checkpoint's name in it."""
        if self._source.folder:
            found, folder = self._found, self._recipe.folder / self._source.folder
            inputs = {"config": self._steps.file(found.config), "checkpoint": self._steps.file(found.prefix.parent)}
            ready = next((place for place in (folder / "ready" / READY, folder / READY) if place.is_file()), None)
            return {**inputs, **({"ready": self._steps.file(ready.parent)} if ready else {})}, found.prefix.name
        self._fetch()
        parts = {"config": "pipeline.config", "checkpoint": "checkpoint"}
        if self._kind.tf1:
            parts["ready"] = "ready"  # a folder, empty where the archive has no finished graph
        return {name: self._steps.output("fetch", path) for name, path in parts.items()}, CHECKPOINT

    def file(self) -> Input:
        """The source as an input, where it is one file or folder."""
        if self._source.url:
            self._fetch()
            return self._steps.output("fetch", SOURCE)
        return self._beside

    @cached_property
    def _beside(self) -> Input:
        """The source beside the recipe, which is looked into: nobody may have done so before."""
        path, kind = self._recipe.folder / (self._source.file or self._source.folder), self._kind.name

        def look() -> dict[str, str]:
            from litekiln.sources.harmless import refuse_actions

            refuse_actions(kind, path)
            return {}

        self._steps.once.looked_into.found(path, kind, look)
        return self._steps.file(path)

    @cached_property
    def _found(self) -> "_Checkpoint":
        """The checkpoint beside the recipe. It is read again only after a file changed, or if it was wrong last time."""
        folder, labels = self._recipe.folder / self._source.folder, self._recipe.labels

        def look() -> dict[str, str]:
            from litekiln.sources.api_checkpoint import check_kind, inspect_source

            found = inspect_source(folder, labels)
            check_kind(found)
            paths = {"config": found.pipeline_path, "prefix": found.prefix}
            return {"kind": found.kind, **{name: path.relative_to(folder).as_posix() for name, path in paths.items()}}

        found = self._steps.once.looked_into.found(folder, "checkpoint", look, beside=[labels] if labels else [])
        seen = _Checkpoint(found["kind"], folder / found["config"], folder / found["prefix"])
        if seen.kind != self._source.kind:
            msg = f"models/{self._recipe.name}: the recipe says kind {self._source.kind!r}, its source is of kind {seen.kind!r}"
            raise SourceError(msg, cause="the checkpoint was replaced", remedy=f'write kind = "{seen.kind}" into its model.toml')
        return seen

    def _fetch(self) -> None:
        if "fetch" in self._steps:
            return
        source = self._source
        remote = source.remote(self._recipe.folder)
        args = {"url": remote.url, "digest": remote.digest, "size": remote.size, "version": VERSION}
        what = {"kind": source.kind, "member": source.member}
        aside = {"recorded_in": remote.recorded_in}
        self._steps.add("fetch", programs.FETCH_MODEL, None, args={**args, **what}, inputs={}, aside=aside)

    def _detection_args(self, prefix: str) -> dict[str, Any]:
        export = self._recipe.spec.export
        return {"prefix": prefix, "max_detections": export.max_detections, "nms": export.nms}

    def observed(self, pictures: Input, name: str, picture_args: dict[str, Any], exported: Exported, variant: Variant) -> str:
        """The id of the step that runs the source itself on pictures, not a file that was converted from it."""
        kind, rounded = self._kind, variant.rounded
        step = f"source on {name}{', fake-quantized' if rounded else ''}{exported.suffix}"
        if step in self._steps:
            return step
        toolchain, args = self.finisher, dict(picture_args)
        inputs = {"pictures": pictures, "exported": exported.output}
        if kind.tf1:  # the frozen graph, as its exporter left it
            args["fake_quant"] = rounded
            toolchain = self.tf1 if kind.freeze else toolchain
        elif kind.checkpoint:
            parts, prefix = self.detection()
            inputs = {"pictures": pictures, "config": parts["config"], "checkpoint": parts["checkpoint"]}
            args |= self._detection_args(prefix)
        elif kind.finished:
            inputs |= self._parts()[0]
        else:
            toolchain = self._exporter
            inputs |= self._parts()[0]
            args |= {"loader": kind.export.removesuffix(".py"), "words": kind.words, **self._named()}
        self._steps.add(step, self._program(kind.run), toolchain, args=args, inputs=inputs)
        return step

    def _pixels(self) -> dict[str, Any]:
        """The recipe's settings of the input; empty where the source has them itself."""
        settings = self._recipe.spec.input
        if not settings:
            return {}
        return {"mean": settings.channels("mean"), "std": settings.channels("std"), "resize": settings.resize}
