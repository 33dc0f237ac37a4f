"""Fuzz what reads a model from somebody else: recipes, picture sets, lists of pins and source.lock. See tests/fuzz/README.md.

    make fuzz ARGS="recipe --inputs 100000 [--keep FOLDER]"

An input's first byte says which file the rest is. A find is an exception other than litekiln's own errors, a path that leads out of
models/ and calib/, a number that is none, and what the harness counts.
"""

import importlib
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from litekiln.errors import LitekilnError  # noqa: E402 - the path above comes first
from litekiln.hashing import canonical_json  # noqa: E402
from tests.fuzz.harness import arguments, fuzz, is_child, quick, run, scratch_folder  # noqa: E402

LONGEST_INPUT = 4_096  # bytes
MOST_SECONDS = 2.0
RECIPE, SET, PINS, LOCK = range(4)
URL = "https://litekiln.invalid/a.tar.gz"
FETCHED_SET = f'url = "{URL}"\nsha256 = "first-use"\npinned = "list"\n'
PINNED = f"# sha256 bytes path\n{'a' * 64} 5 images/a 1.jpg\n"
EXTRA = {
    "function": f'[source]\nkind = "function"\nurl = "{URL}"\nsha256 = "first-use"\nmember = "zoo/code"\nfunction = "net.a:make"\n'
    'license = "MIT"\n[input]\nmean = [1, 2.5, 3e1]\nstd = 127.5\nresize = "letterbox"\n[convert]\ntoolchains = ["tf2.13"]\n'
    'variants = ["float32"]\nkeep_float = ["a"]\n',
    "keras": '[source]\nkind = "keras"\nfile = "net.h5"\ncustom = "net.py"\nlicense = "MIT"\n[input]\nmean = 0\nstd = 255\n'
    '[convert]\ntoolchains = ["tf2.13"]\nvariants = ["float32", "int8"]\n[calibration]\nset = "photos"\n'
    '[labels]\nfile = "labels.txt"\n'
    "[verify]\nmax_map_drop = 1.5\n[verify.variants.int8]\nshare = 0.5\nraw = 0.1\n[qat]\nmean = 128\nstd = 127.5\n",
}


def main() -> None:
    run(__file__, arguments("recipes").parse_args(), write_seeds, LONGEST_INPUT, MOST_SECONDS)


def write_seeds(folder: Path) -> int:
    """The number of seeds that were written."""
    recipes = [path.read_bytes() for path in sorted(ROOT.glob("models/*/model.toml"))]
    seeds = [(RECIPE, text) for text in [*recipes, *(text.encode() for text in EXTRA.values())]]
    seeds += [(SET, path.read_bytes()) for path in sorted(ROOT.glob("calib/**/set.toml"))]
    seeds += [(SET, FETCHED_SET.encode()), (PINS, PINNED.encode())]
    seeds += [(LOCK, path.read_bytes()) for path in sorted(ROOT.glob("models/*/source.lock"))]
    seeds += [(LOCK, f'url = "{URL}"\nkey = "{"b" * 64}"\nsha256 = "{"c" * 64}"\nsize = 77\n'.encode())]
    for number, (form, text) in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(bytes([form]) + text)
    return len(seeds)


class Readers:
    """A project, and what reads each of its files. What is accepted is looked at."""

    def __init__(self) -> None:
        from litekiln.paths import Project

        work = scratch_folder()
        self.project = Project(code=ROOT, work=work)
        self.model, self.pictures = self.project.models / "demo", self.project.calib / "photos"
        for folder in (self.model / "source", self.pictures / "pictures", self.project.calib / "shapes"):
            folder.mkdir(parents=True)
        for name in ("labels.txt", "net.h5", "net.py"):
            (self.model / name).touch()
        for name in ("draw.py", "list"):
            (self.pictures / name).write_text(PINNED)
        (work / "secret").write_text("outside")
        (self.model / "link").symlink_to(work / "secret")

    def recipe(self, data: bytes) -> None:
        from litekiln.confined import is_within, path_fault
        from litekiln.recipes.recipe import load_recipe
        from litekiln.variants import VARIANTS

        (self.model / "model.toml").write_bytes(data)
        spec = load_recipe(self.project, "demo").spec
        _look(spec)
        for variant in VARIANTS:
            canonical_json(spec.verify.limits(variant))
        source = spec.source
        assert not path_fault(source.member)
        for name in (source.folder, source.file, source.custom, spec.labels.file if spec.labels else ""):
            assert is_within(self.model / name, self.project.models), name
        if source.url:
            source.remote(self.model)

    def set(self, data: bytes) -> None:
        from litekiln.confined import is_within
        from litekiln.recipes.picture_sets import load_set

        (self.pictures / "set.toml").write_bytes(data)
        found = load_set(self.project, "photos")
        _look(found.spec)
        for name in (found.spec.folder, found.spec.generator, found.spec.pinned):
            assert is_within(self.pictures / name, self.project.calib), name
        if found.spec.pinned and (self.pictures / found.spec.pinned).is_file():
            found.pinned()

    def pins(self, data: bytes) -> None:
        from litekiln.confined import path_fault
        from litekiln.recipes.picture_sets import PictureSet, SetFile

        (self.pictures / "list").write_bytes(data)
        try:
            for picture in PictureSet("photos", self.pictures, SetFile(url=URL, sha256="first-use", pinned="list")).pinned():
                assert not path_fault(picture.path), picture
                _look(picture)
        finally:
            (self.pictures / "list").write_text(PINNED)

    def lock(self, data: bytes) -> None:
        from litekiln.recipes.pins import LOCK, Pinned

        (self.model / LOCK).write_bytes(data)
        try:
            remote = Pinned(url=URL, sha256="first-use").remote(self.model)
            assert remote.digest == "" or len(remote.digest) == len("sha256:") + 64
        finally:
            (self.model / LOCK).unlink()


def _look(value: object) -> None:
    """Every number is one: JSON knows no others."""
    import msgspec

    canonical_json(msgspec.to_builtins(value))


def child() -> None:
    import atheris

    sys.modules.pop("tomllib", None)
    with atheris.instrument_imports(include=["tomllib", "litekiln.toml_files", "litekiln.recipes", "litekiln.confined"]):
        importlib.import_module("litekiln.recipes.recipe")
        importlib.import_module("litekiln.recipes.picture_sets")

    readers = Readers()
    forms = {RECIPE: readers.recipe, SET: readers.set, PINS: readers.pins, LOCK: readers.lock}

    def one(data: bytes) -> None:
        form, rest = (data[0] % len(forms), data[1:]) if data else (RECIPE, b"")
        with suppress(LitekilnError):
            forms[form](rest)

    fuzz(quick(one, MOST_SECONDS))


if __name__ == "__main__":
    child() if is_child() else main()
