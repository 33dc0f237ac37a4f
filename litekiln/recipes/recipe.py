"""Recipes: the contents of a model folder's model.toml. To add a model, add its folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from msgspec import Meta, field

from litekiln.confined import path_fault
from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.recipes.limits import Limits, limits
from litekiln.recipes.pins import Pinned, refuse_missing
from litekiln.recipes.pixels import LARGEST, TELL_PIXELS, InputPixels
from litekiln.sources.kinds import BY_NAME as KIND_BY_NAME
from litekiln.sources.kinds import FUNCTION, KINDS, TF1_NAMES
from litekiln.toml_files import Table, load_table
from litekiln.variants import BY_NAME, Variant
from litekiln.variants import names as variant_names
from litekiln.wording import did_you_mean

if TYPE_CHECKING:
    KindName: TypeAlias = str
    VariantName: TypeAlias = str
else:  # msgspec checks recipes against these
    KindName = Literal[tuple(kind.name for kind in KINDS)]
    VariantName = Literal[variant_names()]
RECIPE = "model.toml"
CALLABLE = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"  # package.module:attribute


class Source(Pinned, frozen=True, kw_only=True):
    """Where the model comes from: an archive or file at a url, or a folder or file beside the recipe."""

    kind: KindName
    license: str
    folder: str = ""
    file: str = ""
    member: str = ""  # the part of an archive to use, if it holds more than one thing
    signature: str = ""  # of a SavedModel
    function: str = ""  # package.module:attribute, in the folder
    custom: str = ""  # a Python file beside the recipe with a Keras file's own classes
    outputs: list[Literal["boxes", "classes", "scores", "count"]] = field(default_factory=list)  # of a .tflite, in its order
    published_map: Annotated[float, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        self.check_pin()
        if [bool(self.url), bool(self.folder), bool(self.file)].count(True) != 1:
            msg = "url: give one of url (an archive or file), folder and file (below the model's own)"
            raise ValueError(msg)
        if self.member and not self.url:
            msg = "member: names a part of an archive, but there is no url"
            raise ValueError(msg)
        if fault := path_fault(self.member):
            msg = f"member: {self.member!r} is {fault}: it names a part of the archive"
            raise ValueError(msg)
        for kind in KINDS:
            if kind.option and getattr(self, kind.option) and self.kind != kind.name:
                msg = f"{kind.option}: only a source of kind {kind.name!r} has one, but this is {self.kind!r}"
                raise ValueError(msg)
        called = self.kind == FUNCTION.name
        if called and not re.fullmatch(CALLABLE, self.function):
            msg = 'function: expected "package.module:attribute"'
            raise ValueError(msg)
        if called and self.url and not self.member:
            msg = "member: missing; it says which folder of the archive holds the code"
            raise ValueError(msg)


class Qat(Table, frozen=True, kw_only=True):
    """What an input byte means to a quantization-aware model, (byte - mean) / std: TF1's converter can't find it out."""

    mean: Annotated[int, Meta(ge=0, le=255)] = 128
    std: Annotated[float, Meta(gt=0, le=LARGEST)] = 127.5


class Export(Table, frozen=True, kw_only=True):
    """How the source's graph is exported."""

    toolchain: str = ""  # "" for the default of this role
    max_detections: Annotated[int, Meta(ge=1, le=1000)] = 10
    nms: Literal["fast", "regular"] = "fast"


class Convert(Table, frozen=True, kw_only=True):
    """How the graph becomes TFLite. If a toolchain refuses a variant, the next one is tried."""

    toolchains: Annotated[list[str], Meta(min_length=1)]
    variants: Annotated[list[VariantName], Meta(min_length=1)]
    keep_float: list[str] = field(default_factory=list)  # in 8-bit variants: tensors whose operators stay in float


class ChosenSet(Table, frozen=True, kw_only=True):
    """The name of a picture set: a folder below calib/."""

    set: str

    def __post_init__(self) -> None:
        if fault := path_fault(self.set):
            msg = f"set: {self.set!r} is {fault}: a picture set is a folder below calib/"
            raise ValueError(msg)


class LabelMap(Table, frozen=True, kw_only=True):
    """The label map's name, beside the recipe."""

    file: str


class Verify(Table, frozen=True, kw_only=True):
    """The limits for all variants, or for one by its name."""

    max_map_drop: Annotated[float, Meta(ge=0)] | None = None
    warn_map_drop: Annotated[float, Meta(ge=0)] | None = None
    variants: dict[VariantName, Limits] = field(default_factory=dict)

    def limits(self, variant: Variant) -> dict[str, Any]:
        return limits(variant, self.variants.get(variant.name), self.max_map_drop, self.warn_map_drop)


class RecipeFile(Table, frozen=True, kw_only=True):
    """The contents of model.toml."""

    source: Source
    export: Export = Export()
    convert: Convert
    labels: LabelMap | None = None
    input: InputPixels | None = None
    qat: Qat = Qat()
    calibration: ChosenSet | None = None
    evaluation: ChosenSet | None = None
    verify: Verify = Verify()

    def __post_init__(self) -> None:
        kind, variants = KIND_BY_NAME[self.source.kind], [BY_NAME[name] for name in self.convert.variants]
        integer = [variant.name for variant in variants if variant.calibrated]
        if integer and not self.calibration and not kind.finished:
            msg = f'calibration: missing, but {integer[0]} needs pictures: [calibration] set = "a folder below calib/"'
            raise ValueError(msg)
        if kind.detector and not self.labels:
            msg = 'labels: missing, but a detector\'s classes have names: [labels] file = "labels.pbtxt"'
            raise ValueError(msg)
        if kind.asks_pixels and not self.input:
            msg = f"input: missing, but a source of kind {kind.name!r} does not say which pixels it takes: {TELL_PIXELS}"
            raise ValueError(msg)
        for variant in variants:
            if variant.tf1 and not kind.tf1 and not kind.finished:
                source = " or ".join(TF1_NAMES)
                msg = f"convert.variants: TF1's converter makes {variant.name}, and only from a source of kind {source}"
                raise ValueError(msg)
        if kind.finished and len(variants) != 1:
            msg = "convert.variants: a finished .tflite has one variant: name only that one"
            raise ValueError(msg)


@dataclass(frozen=True)
class Recipe:
    """A model: its name, its folder, and the contents of its recipe."""

    name: str
    folder: Path
    spec: RecipeFile

    @property
    def labels(self) -> Path | None:
        return self.folder / self.spec.labels.file if self.spec.labels else None


def recipe_names(project: Project) -> list[str]:
    return sorted(path.parent.name for path in project.models.glob(f"*/{RECIPE}"))


def _is_there(project: Project, name: str) -> bool:
    """Whether that is one of the recipes' names, without a look at all of them."""
    if name in ("", "..") or name != Path(name).name:
        return False
    return os.path.exists(project.models / name / RECIPE)  # noqa: PTH110 - a name that is too long is no error


def load_recipe(project: Project, name: str) -> Recipe:
    if not _is_there(project, name):
        msg = f"unknown model {name!r}, {did_you_mean(name, recipe_names(project))}"
        cause = f"a model is a folder with a {RECIPE} below {project.relative(project.models)}"
        raise UsageError(msg, cause=cause, remedy="inv models")
    folder = project.models / name
    shown_as = f"models/{name}/{RECIPE}"
    spec = load_table(folder / RECIPE, RecipeFile, shown_as=shown_as)
    labels = spec.labels.file if spec.labels else ""
    source = spec.source
    named = {"source.folder": source.folder, "source.file": source.file, "source.custom": source.custom, "labels.file": labels}
    refuse_missing(folder, named, shown_as=shown_as, root=project.models)
    return Recipe(name=name, folder=folder, spec=spec)
