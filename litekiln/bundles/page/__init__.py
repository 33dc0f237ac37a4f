"""report.html: the page of a bundle, of a model with all its variants, and of two bundles side by side.

A page depends on its bundles only, not on the time or the machine. Drawing libraries are loaded only when a page is made.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.bundles.layout import MANIFEST, PAGE, REPORT, bundle_folders
from litekiln.disk import write_whole
from litekiln.errors import BundleError
from litekiln.hashing import FileHashes, files_below, sha256_bytes, sha256_paths, sha256_value
from litekiln.looked_into import LookedInto
from litekiln.paths import Project

if TYPE_CHECKING:
    from litekiln.bundles.device_match import Device
    from litekiln.bundles.read import Built

HEAD = 2000  # a page's key is within this many first bytes
SEAL = b"\n<!-- sha256 of what is above: "
CODE = Path(__file__).resolve().parent
# Other modules that decide what a page says.
BESIDE = ("figures.py", "report_format.py", "report_measures.py", "report_value.py", "manifest.py", "read.py")
# Those of devices don't: such a page is made anew each time.


@cache
def code_hash() -> str:
    """One hash of the code that makes pages: when it changes, pages are made again."""
    return sha256_paths([*files_below(CODE), *(CODE.parent / name for name in BESIDE)], root=CODE.parent)


def bundle_page(built: "Built") -> str:
    """The page of one bundle."""
    from litekiln.bundles.page.render import render
    from litekiln.bundles.page.view import bundle_view

    return render("report.html", {"page": bundle_view(built), "key": ""})


def model_page(bundles: Sequence[Path], warnings: Sequence[str] = ()) -> str:
    """The page of a model: all its variants. `bundles` are their folders; `warnings` stand on top."""
    from litekiln.bundles.page.render import render
    from litekiln.bundles.page.view import model_view
    from litekiln.bundles.read import read_bundle

    page = model_view([read_bundle(folder) for folder in bundles], warnings)
    return render("report.html", {"page": page, "key": model_key(bundles, warnings)})


def device_page(
    bundles: "Sequence[Built]", devices: "Sequence[Device]", warnings: Sequence[str] = (), *, single: bool = False
) -> str:
    """The page of a model, or of one bundle, with what was measured on devices. It is made anew each time: it has no key."""
    from litekiln.bundles.page.render import render
    from litekiln.bundles.page.view import bundle_view, model_view

    page = bundle_view(bundles[0], devices) if single else model_view(bundles, warnings, devices)
    return render("report.html", {"page": page, "key": ""}, "devices.css")


def model_key(bundles: Sequence[Path], warnings: Sequence[str] = ()) -> str:
    """One hash of what a model's page is made from. The page contains it, so that the same page is not made again."""
    return sha256_value(
        [
            code_hash(),
            *([folder.name, _hash_of(folder / REPORT), _hash_of(folder / MANIFEST)] for folder in sorted(bundles)),
            *warnings,
        ]
    )


def _hash_of(path: Path) -> str:
    """A JSON file's hash without `made_by`: equal bundles of two engines have equal pages."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return sha256_value({name: part for name, part in value.items() if name != "made_by"})
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""  # read_bundle says what is wrong


class ModelPages:
    """Writes models' pages. What pages of one command share is read once; who makes it saves it."""

    def __init__(self, project: Project, hashes: FileHashes) -> None:
        self._project, self._hashes = project, hashes
        self._looked_into = LookedInto(project.state, ())

    def write(self, model: str, warn: Callable[[str], None], warnings: Sequence[str] = ()) -> Path:
        """The path of out/<model>/report.html, the page of all bundles beside it. It is written unless it is up to date.

        A bundle that can't be read, or is not as it was built, is left out with a warning: it must not stop those that were just
        built.
        """
        target = self._project.out / model / PAGE
        told: list[str] = []

        def look() -> dict[str, str] | None:
            written = _write_page(self._project, model, told.append, warnings, self._hashes)
            return None if written or told else {}

        self._looked_into.found(target.parent, sha256_value([code_hash(), *warnings]), look)
        for text in told:
            warn(text)
        return target

    def save(self) -> None:
        self._looked_into.save()


def write_model_page(project: Project, model: str, warn: Callable[[str], None], warnings: Sequence[str] = ()) -> Path:
    """The path of a model's page, which is written unless it is up to date."""
    pages = ModelPages(project, FileHashes(project.state))
    try:
        return pages.write(model, warn, warnings)
    finally:
        pages.save()


def _write_page(project: Project, model: str, warn: Callable[[str], None], warnings: Sequence[str], hashes: FileHashes) -> bool:
    """Write a model's page unless it is up to date. Whether it was written."""
    from litekiln.bundles.read import read_bundle

    target, whole = project.out / model / PAGE, []
    for folder in bundle_folders(project, model):
        try:
            read_bundle(folder, hashes.sha256)
            whole.append(folder)
        except BundleError as error:
            warn(f"left out of the report: {error.what}")
    if _is_current(target, model_key(whole, warnings)):
        return False
    page = model_page(whole, warnings).encode()
    write_whole(target, page + SEAL + _seal(page))
    return True


def _is_current(target: Path, key: str) -> bool:
    """Whether a model's page is made from these bundles, and as it was written."""
    try:
        page, _, seal = target.read_bytes().rpartition(SEAL)
    except OSError:
        return False
    return key.encode() in page[:HEAD] and seal == _seal(page)


def _seal(page: bytes) -> bytes:
    return f"{sha256_bytes(page)} -->\n".encode()


def compare_page(left: "Built", right: "Built", warnings: Sequence[str] = ()) -> str:
    """Two builds side by side. `warnings` stand on top."""
    from litekiln.bundles.compare import compare
    from litekiln.bundles.page.pictures import shown_pictures
    from litekiln.bundles.page.render import render

    pictures = shown_pictures([left, right])
    return render("compare.html", {"comparison": compare(left, right), "pictures": pictures, "warnings": warnings, "key": ""})
