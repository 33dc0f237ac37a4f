"""report.html: a bundle's page, a model's with all variants, and two bundles side by side. Reports in, text out.

Nothing but the bundles decides what is in a page: no clock, no machine. What draws and lays out is loaded when a page is made.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from litekiln.bundles.layout import MANIFEST, PAGE, REPORT, bundle_folders
from litekiln.errors import BundleError
from litekiln.hashing import files_below, sha256_paths, sha256_value
from litekiln.named_files import write_named
from litekiln.paths import Project

if TYPE_CHECKING:
    from litekiln.bundles.read import Built

HEAD = 2000  # bytes of a page, within which its key is
CODE = Path(__file__).resolve().parent
# Other modules that decide what a page says.
BESIDE = ("figures.py", "report_format.py", "report_measures.py", "report_value.py", "read.py")


@cache
def code_hash() -> str:
    """What makes pages, as one hash: a page is made anew when this changes, and left alone otherwise."""
    return sha256_paths([*files_below(CODE), *(CODE.parent / name for name in BESIDE)], root=CODE.parent)


def bundle_page(built: "Built") -> str:
    """The page of one bundle."""
    from litekiln.bundles.page.render import render
    from litekiln.bundles.page.view import bundle_view

    return render("report.html", {"page": bundle_view(built), "key": ""})


def model_page(bundles: Sequence[Path]) -> str:
    """The page of a model: all its variants. `bundles` are their folders."""
    from litekiln.bundles.page.render import render
    from litekiln.bundles.page.view import model_view
    from litekiln.bundles.read import read_bundle

    return render("report.html", {"page": model_view([read_bundle(folder) for folder in bundles]), "key": model_key(bundles)})


def model_key(bundles: Sequence[Path]) -> str:
    """What a model's page is made of, as one hash. The page tells it, so that the same one need not be made again."""
    return sha256_value(
        [code_hash(), *([folder.name, _said(folder / REPORT), _said(folder / MANIFEST)] for folder in sorted(bundles))]
    )


def _said(path: Path) -> str:
    """A file's hash without who made it: equal bundles of two engines have equal pages."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return sha256_value({name: part for name, part in value.items() if name != "made_by"})
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""  # reading it whole says what is wrong


def write_model_page(project: Project, model: str, warn: Callable[[str], None]) -> Path:
    """out/<model>/report.html, of all bundles that lie beside it. One that is of these very bundles is left alone.

    A folder that can't be read is left out, and said: what else lies there is no fault of the bundles just built.
    """
    folders, target = bundle_folders(project, model), project.out / model / PAGE
    if _says(target, model_key(folders)):
        return target
    from litekiln.bundles.read import read_bundle

    whole = []
    for folder in folders:
        try:
            read_bundle(folder)
            whole.append(folder)
        except BundleError as error:
            warn(f"left out of the report: {error.what}")
    write_named("the page", target, model_page(whole).encode())
    return target


def _says(page: Path, key: str) -> bool:
    try:
        with page.open("rb") as stream:
            return key.encode() in stream.read(HEAD)
    except OSError:
        return False


def compare_page(left: "Built", right: "Built") -> str:
    """Two builds side by side."""
    from litekiln.bundles.compare import compare
    from litekiln.bundles.page.pictures import shown_pictures
    from litekiln.bundles.page.render import render

    return render("compare.html", {"comparison": compare(left, right), "pictures": shown_pictures([left, right]), "key": ""})
