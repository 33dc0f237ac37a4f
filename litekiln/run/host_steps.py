"""The steps that litekiln runs itself, because they need the network: fetching a model, fetching pictures.

Their output has one layout, whatever the archive looked like, so that later steps know where everything is.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litekiln.errors import CalibrationError, HashMismatch, NetworkError, SourceError
from litekiln.fetch.fetch import fetch
from litekiln.formats.archives import top_folder, unpack
from litekiln.hashing import canonical_json, files_below, sha256_file
from litekiln.recipes.pins import Archive, Remote
from litekiln.sources.find import errors_naming, inspect_archive, is_archive
from litekiln.sources.harmless import refuse_actions
from litekiln.sources.kinds import BY_NAME
from litekiln.sources.layout import SOURCE, lay_out
from litekiln.wording import size_text

DEEPEST = 4  # levels of an archive that are searched
SHOWN = 8  # names of an archive's files in a message
Say = Callable[[str], None]
NO_PICTURES = "give pictures of your own, 100 or more: --calib DIR; or put the archive into a folder and set LITEKILN_MIRROR to it"


def fetch_model(args: dict[str, Any], downloads: Path, out: Path, say: Say, note: Say) -> dict[str, Any]:
    """Facts about a model's archive or file, which is unpacked and laid out as later steps expect it."""
    archive = fetch_archive(args, downloads, say, note)
    facts = {"archive": archive.path.name, "sha256": archive.sha256, "size": archive.size, "kind": args["kind"]}
    detects = BY_NAME[args["kind"]].checkpoint
    if not detects and not is_archive(archive.path):
        refuse_actions(args["kind"], archive.path)
        shutil.copyfile(archive.path, out / SOURCE)
        return facts
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        if not detects:
            unpacked = unpack(archive.path, Path(scratch) / "archive")
            member = _member(unpacked, archive.path.name, args)
            with errors_naming(archive.path, unpacked):
                refuse_actions(args["kind"], member)
            shutil.move(member, out / SOURCE)
            return facts
        found = inspect_archive(archive.path, Path(scratch) / "archive")
        if found.kind != args["kind"]:
            msg = f"{archive.path.name} holds a model of kind {found.kind!r}, the recipe says {args['kind']!r}"
            raise SourceError(
                msg, cause="the address is of another model", remedy=f'write kind = "{found.kind}" into its model.toml'
            )
        lay_out(found.pipeline_path, found.prefix, out)
    if BY_NAME[found.kind].tf1:
        (out / "ready").mkdir(exist_ok=True)  # empty where the archive has no finished graph
    for text in found.notes:
        note(text)
    return {**facts, "notes": found.notes}


def _member(unpacked: Path, archive: str, args: dict[str, Any]) -> Path:
    """The source inside an archive: the one that the recipe names, or the only one of its kind."""
    if args["member"]:
        named: Path | None = next(
            (root / args["member"] for root in (unpacked, top_folder(unpacked)) if (root / args["member"]).exists()), None
        )
        if named:
            return named
        raise SourceError(
            f"{archive} has no {args['member']!r}", cause=_holds(unpacked), remedy="fix source.member in its model.toml"
        )
    kind = BY_NAME[args["kind"]]
    pattern = kind.pattern
    found = [path for depth in range(DEEPEST) for path in sorted(unpacked.glob("*/" * depth + pattern))]
    if len(found) != 1:
        problem = f"has {len(found)} {pattern}, one was expected" if found else f"has no {pattern}"
        raise SourceError(
            f"{archive} {problem}", cause=_holds(unpacked), remedy='name one: member = "FOLDER/FILE" in its model.toml'
        )
    return found[0].parent if kind.holds else found[0]


def _holds(folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    return f"it holds: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"


def fetch_pictures(args: dict[str, Any], downloads: Path, out: Path, say: Say, note: Say) -> dict[str, Any]:
    """Facts about a public archive of pictures, of which only the pictures that the set pins are kept."""
    try:
        archive = fetch_archive(args, downloads, say, note)
        with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            folder = unpack(archive.path, Path(scratch) / "archive")
            inner = top_folder(folder)  # the set's paths start at the archive's root, or in its only folder
            root = inner if any((inner / picture["path"]).exists() for picture in args["pictures"]) else folder
            for picture in args["pictures"]:
                _take(root, picture, out)
    except (NetworkError, SourceError) as error:
        msg = f"the calibration pictures of {args['set']} could not be fetched: {error.what}"
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
