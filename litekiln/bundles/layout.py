"""The names of a bundle's files, and where bundles are."""

from pathlib import Path

from litekiln.paths import Project

MODEL, REPORT, MANIFEST, PAGE = "detect.tflite", "report.json", "manifest.json", "report.html"
MANIFEST_FORMAT = 3
SELFTEST = "selftest.json"  # what the model detects in its first example: a Pi must detect the same


def bundle_folders(project: Project, model: str) -> list[Path]:
    """The folders of the bundles in out/<model>/, also of those that lost their report or their manifest."""
    paths = (path for name in (REPORT, MANIFEST) for path in (project.out / model).glob(f"*/{name}"))
    return sorted({path.parent for path in paths if not path.parent.name.startswith(".")})
