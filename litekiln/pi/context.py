"""Lay out what goes into a Pi's image in one folder for the builder: packages, runtime, bundle, list of components."""

import json
import os
import shutil
from pathlib import Path

from litekiln.bundles.layout import MODEL, PAGE
from litekiln.bundles.read import Built
from litekiln.hashing import sha256_file, sha256_value
from litekiln.paths import Project
from litekiln.pi.packages import listed_packages
from litekiln.pi.sbom import sbom

SHARED = "detection"  # of steps/: the code that the verification ran also runs on the Pi
RUNTIME = "litekiln_pi"
SBOM = "litekiln.cdx.json"


def source_hash(built: Built) -> str:
    """The hash of everything the bundle's steps took from outside: it finds all images of one source."""
    outside = {each.sha256 for step in built.manifest.steps for each in step.inputs.values() if not each.step}
    return sha256_value(sorted(outside))


def labels(built: Built, version: str) -> dict[str, str]:
    """The image's labels, which `docker inspect` shows."""
    report = built.report
    return {
        "org.opencontainers.image.title": f"litekiln {built.name}",
        "org.opencontainers.image.description": f"Detects objects with {report.model}, variant {report.variant}, on a Raspberry Pi",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": f"Apache-2.0 AND {report.source.license or 'NOASSERTION'}",
        "org.opencontainers.image.documentation": "docs/pi.md",
        "org.litekiln.model": report.model,
        "org.litekiln.variant": report.variant,
        "org.litekiln.model.sha256": built.sha256,
        "org.litekiln.source.sha256": source_hash(built),
        "org.litekiln.verdict": report.verdict,
    }


def lay_out_context(project: Project, built: Built, packages: Path, folder: Path) -> None:
    """Fill `folder` with everything that the Dockerfile copies."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    code = project.code
    shutil.copy2(code / "pi" / "lay_out.py", folder / "lay_out.py")
    shutil.copytree(packages, folder / "packages", copy_function=_link)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(code / "pi" / RUNTIME, folder / "app" / RUNTIME, ignore=ignore)
    shutil.copytree(code / "steps" / SHARED, folder / "app" / SHARED, ignore=ignore)
    _copy_bundle(built, folder / "bundle")
    (folder / "sbom").mkdir()
    model = {
        "name": built.name,
        "version": built.manifest.files.get(MODEL, "")[:12],
        "sha256": built.sha256,
        "license": built.report.source.license,
    }
    listed = sbom(f"litekiln {built.name}", listed_packages(packages), model)
    (folder / "sbom" / SBOM).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    _settle(folder)


def _copy_bundle(built: Built, target: Path) -> None:
    for name, path in {**built.files, PAGE: built.place / PAGE}.items():
        if path.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / name)


def _link(source: str, target: str) -> None:
    """Link a file, or copy it where the disk has no links: the packages are a hundred megabytes."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _settle(folder: Path) -> None:
    """Make the files readable by the image's user, whatever the umask is here, and set their times.

    BuildKit sends only files whose size or time has changed, so each file's time is made from its content. In the image all files
    have one date, which pi/lay_out.py sets.
    """
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        if path.is_file():
            moment = int(sha256_file(path)[:7], 16)
            os.utime(path, (moment, moment))
