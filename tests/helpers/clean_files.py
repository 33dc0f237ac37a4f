"""What lint has against the files that a build made."""

from pathlib import Path

from litekiln.lint.examine import examine, look_into
from litekiln.lint.findings import Severity


def not_clean(folder: Path) -> dict[str, list[str]]:
    """The findings of every bundle below a folder, by its variant: warnings and errors, no notes. A clean bundle is left out."""
    bundles = sorted(folder.rglob("detect.tflite"))
    assert bundles, f"no bundle in {folder}"
    found = {
        path.parent.name: [f"{each.id}: {each.evidence}" for each in examine(look_into(path)) if each.severity > Severity.NOTE]
        for path in bundles
    }
    return {variant: told for variant, told in found.items() if told}
