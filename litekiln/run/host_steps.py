"""The steps that litekiln runs itself, because they need the network: fetching a model, fetching pictures.

Their output has one layout, whatever the archive looked like, so that later steps know where everything is.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.confined import inside, is_within
from litekiln.errors import (
    BrokenArchive,
    CalibrationError,
    HashMismatch,
    NetworkError,
    SourceError,
    UnsafeArchive,
    UnsafeModel,
)
from litekiln.fetch.fetch import discard, fetch
from litekiln.fetch.transfer import Stopped, never
from litekiln.formats.archives import top_folder, unpack
from litekiln.hashing import canonical_json, files_below, sha256_file
from litekiln.recipes.pins import Archive, Remote
from litekiln.sources.find import errors_naming, inspect_archive, is_archive
from litekiln.sources.frozen_graph import read_graph
from litekiln.sources.harmless import refuse_actions
from litekiln.sources.keras_file import is_keras
from litekiln.sources.kinds import BY_NAME, KERAS, TF1_FROZEN, TFLITE
from litekiln.sources.layout import SOURCE, lay_out
from litekiln.sources.tflite_source import is_tflite
from litekiln.wording import size_text

DEEPEST = 4  # levels of an archive that are searched
NO_ARCHIVE = (BrokenArchive, UnsafeArchive)  # the file is not what anybody packed
ANOTHER_ANSWER = "something else answered in its place (a proxy, a network's login page)"
INDEX = "index.json"  # beside fetched pictures: their names
SHOWN = 8  # names of an archive's files in a message
Say = Callable[[str], None]
NO_PICTURES = "give pictures of your own, 100 or more: --calib DIR; or put the archive into a folder and set LITEKILN_MIRROR to it"


@dataclass(frozen=True)
class Host:
    """What these steps need of the run: the kept downloads, whom to notify, and when to give up."""

    downloads: Path
    say: Say
    note: Say
    stopped: Stopped = never


def fetch_model(args: dict[str, Any], out: Path, host: Host) -> dict[str, Any]:
    """Facts about a model's archive or file, which is unpacked and laid out as later steps expect it."""
    with _fetched(args, host) as archive:
        notes = lay_out_model(archive, args, out, host.stopped)
    for text in notes:
        host.note(text)
    facts = {"archive": archive.path.name, "sha256": archive.sha256, "size": archive.size, "kind": args["kind"]}
    return {**facts, "notes": notes} if BY_NAME[args["kind"]].checkpoint else facts


def lay_out_model(archive: Archive, args: dict[str, Any], out: Path, stopped: Stopped = never) -> list[str]:
    """What to note about a downloaded model, after laying it out. One that can't be used is a SourceError."""
    if not BY_NAME[args["kind"]].checkpoint and not is_archive(archive.path):
        _refuse_other_file(archive.path, args["kind"])
        refuse_actions(args["kind"], archive.path)
        shutil.copyfile(archive.path, out / SOURCE)
        return []
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        if not BY_NAME[args["kind"]].checkpoint:
            unpacked = unpack(archive.path, Path(scratch) / "archive", stopped)
            member = _member(unpacked, archive.path.name, args)
            with errors_naming(archive.path, unpacked):
                refuse_actions(args["kind"], member)
            _move(member, out / SOURCE, within=unpacked)
            return []
        found = inspect_archive(archive.path, Path(scratch) / "archive", stopped)
        if found.kind != args["kind"]:
            msg = f"{archive.path.name} holds a model of kind {found.kind!r}, the recipe says {args['kind']!r}"
            raise SourceError(
                msg, cause="the address is of another model", remedy=f'write kind = "{found.kind}" into its model.toml'
            )
        lay_out(found.pipeline_path, found.prefix, out)
    if BY_NAME[found.kind].tf1:
        (out / "ready").mkdir(exist_ok=True)  # empty where the archive has no finished graph
    return [*found.notes, *found.warnings]


def _refuse_other_file(path: Path, kind: str) -> None:
    """Refuse a downloaded file that is not of its recipe's kind, such as a network's login page."""
    readers = {TF1_FROZEN.name: _is_graph, TFLITE.name: is_tflite, KERAS.name: is_keras}
    if kind in readers and not readers[kind](path):
        msg = f"{path.name} is not a file of kind {kind!r}"
        raise BrokenArchive(msg, cause=ANOTHER_ANSWER, remedy="check the address, and log in to the network with a browser")


def _is_graph(path: Path) -> bool:
    try:
        read_graph(path)
    except UnsafeModel:
        return True  # it is one, and refused as one
    except SourceError:
        return False
    return True


@contextmanager
def _fetched(args: dict[str, Any], host: Host, *, wrong: tuple[type[SourceError], ...] = NO_ARCHIVE) -> Iterator[Archive]:
    """The archive. One that proves `wrong` is not kept, unless the recipe itself says this hash."""

    def progress(done: int, total: int | None) -> None:
        host.say(f"{size_text(done)} of {size_text(total)}" if total else size_text(done))

    recorded_in = str(args.get("recorded_in", ""))
    remote = Remote(args["url"], args["digest"], args["size"], recorded_in)
    archive = fetch(remote, host.downloads, progress=progress, note=host.note, stopped=host.stopped)
    with usable(archive, remote, wrong=wrong):
        yield archive


@contextmanager
def usable(archive: Archive, remote: Remote, *, wrong: tuple[type[SourceError], ...] = NO_ARCHIVE) -> Iterator[None]:
    """Where a download is used. If nobody published its hash and it proves wrong, the next run fetches another.

    It stays where the recipe may be wrong, as with a member that the archive doesn't have.
    """
    try:
        yield
    except wrong as error:
        if remote.recorded_in:
            error.remedy = f"{error.remedy}; if the first download was wrong, delete {remote.recorded_in} and build again"
        if remote.recorded_in or not remote.digest:
            discard(archive)
        raise


def _member(unpacked: Path, archive: str, args: dict[str, Any]) -> Path:
    """The source inside an archive: the one that the recipe names, or the only one of its kind."""
    if args["member"]:
        places = [_inside(root, args["member"]) for root in (unpacked, top_folder(unpacked))]
        if named := next((place for place in places if place.exists()), None):
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


def fetch_pictures(args: dict[str, Any], out: Path, host: Host) -> dict[str, Any]:
    """Facts about a public archive of pictures, of which only the pictures that the set pins are kept."""
    try:
        with _fetched(args, host, wrong=(SourceError,)) as archive, tempfile.TemporaryDirectory(dir=out.parent) as scratch:
            folder = unpack(archive.path, Path(scratch) / "archive", host.stopped)
            inner = top_folder(folder)  # the set's paths start at the archive's root, or in its only folder
            root = inner if any(_inside(inner, picture["path"]).exists() for picture in args["pictures"]) else folder
            for picture in args["pictures"]:
                _take(root, picture, out)
    except (NetworkError, SourceError) as error:
        msg = f"the calibration pictures of {args['set']} could not be fetched: {error.what}"
        raise CalibrationError(msg, cause=error.cause, remedy=NO_PICTURES) from None
    names = [picture["path"] for picture in args["pictures"]]
    (out / INDEX).write_text(canonical_json({"pictures": names}), encoding="utf-8")
    return {"archive": archive.path.name, "sha256": archive.sha256, "count": len(names)}


def _take(folder: Path, picture: dict[str, Any], out: Path) -> None:
    source, target = _inside(folder, picture["path"]), _inside(out, picture["path"])
    if (out / INDEX) in (target, *target.parents):
        msg = f"{picture['path']} is pinned as a picture, but {INDEX} is the list that litekiln writes beside them"
        raise SourceError(msg, remedy="take it out of the set's list")
    if not source.is_file():
        msg = f"the archive lacks {picture['path']}"
        raise SourceError(msg, cause="its publisher changed it", remedy=NO_PICTURES)
    if source.stat().st_size != picture["size"] or sha256_file(source) != picture["sha256"]:
        msg = f"{picture['path']} in the archive is not the picture that the set pins"
        raise HashMismatch(msg, cause="its publisher changed it", remedy=NO_PICTURES)
    target.parent.mkdir(parents=True, exist_ok=True)
    _move(source, target, within=folder)


def _inside(folder: Path, name: str) -> Path:
    try:
        return inside(folder, name)
    except ValueError as error:
        cause = "a recipe or list names only parts of its archive: another path would move files of yours"
        raise SourceError(f"{error}", cause=cause, remedy="name a path inside the archive") from None


def _move(source: Path, target: Path, *, within: Path) -> None:
    """Move a part of an unpacked archive. Nothing from elsewhere is ever moved."""
    if not is_within(source, within):
        msg = f"{source} is not in {within}: it was not moved"
        raise SourceError(msg, cause="a link in the archive leads out of it", remedy="name another part of the archive")
    shutil.move(source, target)


PROGRAMS = {"fetch model": fetch_model, "fetch pictures": fetch_pictures}
