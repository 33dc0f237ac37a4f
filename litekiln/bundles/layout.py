"""The files of a bundle, by name, and where bundles lie."""

from pathlib import Path

from litekiln.paths import Project

MODEL, REPORT, MANIFEST, PAGE = "detect.tflite", "report.json", "manifest.json", "report.html"
SELFTEST = "selftest.json"  # what the model sees in its first example: a Pi has to see the same


def bundle_folders(project: Project, model: str) -> list[Path]:
    """The bundles that lie in out/<model>/."""
    return sorted(path.parent for path in (project.out / model).glob(f"*/{REPORT}") if not path.parent.name.startswith("."))
