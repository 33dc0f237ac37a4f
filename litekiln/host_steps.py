"""The steps that litekiln does itself, because they need the network: fetching a model, fetching pictures.

What they leave is laid out one way whatever the archive looked like, so that later steps know where everything is.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litekiln.errors import CalibrationError, HashMismatch, NetworkError, SourceError
from litekiln.fetch import Archive, Remote, fetch
from litekiln.hashing import canonical_json, sha256_file
from litekiln.new_source import inspect_archive
from litekiln.report import size_text
from litekiln.unpack import top_folder, unpack

CHECKPOINT = "ckpt-0"  # what the checkpoint is called here, whatever its name was
Say = Callable[[str], None]
NO_PICTURES = "give pictures of your own, 100 or more: --calib DIR; or put the archive into a folder and set LITEKILN_MIRROR to it"


def fetch_model(args: dict[str, Any], downloads: Path, out: Path, say: Say, note: Say) -> dict[str, Any]:
    """A zoo archive: its checkpoint and configuration, checked."""
    archive = fetch_archive(args, downloads, say, note)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        found = inspect_archive(archive.path, Path(scratch) / "archive")
        lay_out(found.pipeline_path, found.prefix, out)
    for text in found.notes:
        note(text)
    return {"archive": archive.path.name, "sha256": archive.sha256, "size": archive.size, "kind": found.kind, "notes": found.notes}


def lay_out(config: Path, prefix: Path, out: Path) -> None:
    """A model's source as later steps expect it: pipeline.config and checkpoint/ckpt-0."""
    target = out / "checkpoint"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config, out / "pipeline.config")
    for path in sorted(prefix.parent.iterdir()):
        if path.name.startswith((f"{prefix.name}.index", f"{prefix.name}.data-")):
            shutil.copyfile(path, target / (CHECKPOINT + path.name[len(prefix.name) :]))
    (target / "checkpoint").write_text(f'model_checkpoint_path: "{CHECKPOINT}"\n', encoding="utf-8")


def fetch_pictures(args: dict[str, Any], downloads: Path, out: Path, say: Say, note: Say) -> dict[str, Any]:
    """A public archive of pictures: those that the set pins, and nothing else of it."""
    try:
        archive = fetch_archive(args, downloads, say, note)
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            folder = unpack(archive.path, Path(scratch) / "archive")
            inner = top_folder(folder)  # the list names pictures as they lie in the archive, or in its one folder
            root = inner if any((inner / picture["path"]).exists() for picture in args["pictures"]) else folder
            for picture in args["pictures"]:
                _take(root, picture, out)
    except (NetworkError, SourceError) as error:
        msg = f"the calibration pictures of {args['set']} can't be had: {error.what}"
        raise CalibrationError(msg, cause=error.cause, remedy=NO_PICTURES) from None
    names = [picture["path"] for picture in args["pictures"]]
    (out / "index.json").write_text(canonical_json({"pictures": names}), encoding="utf-8")
    return {"archive": archive.path.name, "sha256": archive.sha256, "count": len(names)}


def _take(folder: Path, picture: dict[str, Any], out: Path) -> None:
    source, target = folder / picture["path"], out / picture["path"]
    if not source.is_file():
        msg = f"the archive lacks {picture['path']}"
        raise SourceError(msg, cause="its publisher changed it", remedy=NO_PICTURES)
    if source.stat().st_size != picture["size"] or sha256_file(source) != picture["sha256"]:
        msg = f"{picture['path']} in the archive is not the picture that the set pins"
        raise HashMismatch(msg, cause="its publisher changed it", remedy=NO_PICTURES)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)


def fetch_archive(args: dict[str, Any], downloads: Path, say: Say, note: Say) -> Archive:
    def progress(done: int, total: int | None) -> None:
        say(f"{size_text(done)} of {size_text(total)}" if total else size_text(done))

    return fetch(Remote(args["url"], args["digest"], args["size"]), downloads, progress=progress, note=note)


PROGRAMS = {"fetch model": fetch_model, "fetch pictures": fetch_pictures}
VERSION = 1  # counts what they leave: part of their steps' keys
