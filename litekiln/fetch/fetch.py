"""A recipe's archive: kept, or fetched from the mirror or its address. Size and hash are checked before anything uses it.

`downloads/<address>/<name>` is a whole archive, `<name>.part` an unfinished one, `<name>.part.json` says where its bytes come from.
`<address>` stands for the whole address: archives of two recipes may have one name.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from litekiln.addresses import address_key, without_secrets
from litekiln.disk import saying_disk_full, waiting_lock
from litekiln.errors import HashMismatch, NotFoundOnServer, SizeMismatch, SourceError, UsageError
from litekiln.fetch.download import download, refuse_address
from litekiln.fetch.transfer import Note, Part, Progress, Record, Source, Stopped, Transfer, copy, never
from litekiln.recipes.pins import Archive, Remote

MIRROR = "LITEKILN_MIRROR"
PLACE_DIGITS = 16
PLACE = re.compile(f"[0-9a-f]{{{PLACE_DIGITS}}}")  # a folder of downloads/
DIGEST_LENGTHS = {"sha256": 64, "sha384": 96}
PUBLISHED_OTHERWISE = "run it again; if that doesn't help, compare with what the publisher says and fix the recipe"


@dataclass(frozen=True)
class _Order:
    """One fetch: what to get, where to put it, and whom to notify."""

    remote: Remote
    source: Source
    path: Path
    progress: Progress
    note: Note
    stopped: Stopped


def fetch(remote: Remote, downloads: Path, *, progress: Progress, note: Note, stopped: Stopped = never) -> Archive:
    """The recipe's archive below `downloads`. `stopped()` tells when to give up, with KeyboardInterrupt."""
    refuse_address(remote.url)
    _refuse_odd_digest(remote.digest)
    name = _file_name(remote.url)
    source = Source(
        address=remote.url,
        whose="the server's",
        wrong="its publisher changed it, or something else answered in its place (a proxy, a network's login page)",
        remedy=_to_accept(remote) if remote.recorded_in else PUBLISHED_OTHERWISE,
        unreachable="check the network and HTTPS_PROXY, then run it again: the download resumes",
    )
    folder = downloads / address_key(remote.url)[:PLACE_DIGITS]
    order = _Order(remote, source, folder / name, progress, note, stopped)
    with saying_disk_full(downloads):
        lock = lock_of(folder)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with waiting_lock(lock, lambda: note(f"{name}: waiting for another litekiln process that fetches it"), stopped):
            folder.mkdir(exist_ok=True)
            return _already_there(order) or _from_mirror(order) or _from_address(order)


def lock_of(folder: Path) -> Path:
    """The lock of a download's folder. It lies outside, so that the folder can be removed."""
    return folder.parent / ".locks" / f"{folder.name}.lock"


def discard(archive: Archive) -> None:
    """Remove a download that proved to be no archive: else the next run would find it already there."""
    archive.path.unlink(missing_ok=True)
    _first_use(archive.path).unlink(missing_ok=True)


def _first_use(path: Path) -> Path:
    """The record of an archive without a published hash: it is what this address sent."""
    return path.with_name(f".{path.name}.first-use.json")


def _to_accept(remote: Remote) -> str:
    return f"run it again; if its publisher has a new file that you trust, delete {remote.recorded_in} and build again"


def _already_there(order: _Order) -> Archive | None:
    if not order.path.is_file():
        return None
    name = order.path.name
    try:
        sha256 = _checked(order.path, order, Source("already there", "the kept", "", "", ""))
    except SourceError as error:
        order.note(f"{error.what}: fetching it again")
    else:
        if order.remote.digest or Record.read(_first_use(order.path)) == Record(order.source.key, sha256):
            return Archive(order.path, sha256, order.path.stat().st_size, "already there")
        order.note(f"no record says that the kept {name} came from this address: fetching it again")
    return None  # it stays until another one is right: another recipe may want this one


def _from_mirror(order: _Order) -> Archive | None:
    mirror, name = os.environ.get(MIRROR, ""), order.path.name
    if not mirror:
        return None
    web, shown = "://" in mirror, without_secrets(mirror)
    if web and urlsplit(mirror).scheme not in ("http", "https"):
        msg = f"{MIRROR} is neither a folder nor an http or https address: {shown!r}"
        remedy = f"set {MIRROR} to a folder or address that holds the archives by file name"
        raise UsageError(msg, cause="other addresses are not supported", remedy=remedy)
    for path in _in_mirror(order, mirror):
        source = _mirror_source(mirror, path)
        if web or Path(source.address).is_file():
            try:
                return _brought(order, source, download if web else copy)
            except NotFoundOnServer:
                pass
    order.note(f"the mirror {shown} has no {name}: fetching it from {order.source.shown}")
    return None


def _in_mirror(order: _Order, mirror: str) -> list[str]:
    """Where a mirror may have the file: by its name, or in a copy of downloads/, where two files may have one name."""
    name = order.path.name
    by_name, copied = name, f"{order.path.parent.name}/{name}"
    return [by_name, copied] if "://" in mirror else [copied, by_name]


def _mirror_source(mirror: str, path: str) -> Source:
    web, shown = "://" in mirror, without_secrets(mirror)
    return Source(
        address=f"{mirror.rstrip('/')}/{quote(path)}" if web else str(Path(mirror).expanduser() / path),
        whose="the mirror's",
        wrong=f"{MIRROR}={shown} holds another version or a damaged copy",
        remedy=f"put the right file there, or unset {MIRROR} to use the recipe's address",
        unreachable=f"check {MIRROR}={shown}, or unset it to use the recipe's address",
        plain=mirror.startswith("http://"),
    )


def _from_address(order: _Order) -> Archive:
    try:
        return _brought(order, order.source, download)
    except NotFoundOnServer:
        _part(order).remove()
        raise


def _part(order: _Order) -> Part:
    return Part(order.path.with_name(f"{order.path.name}.part"))


def _brought(order: _Order, source: Source, bring: Callable[[Transfer], None]) -> Archive:
    """The fetched archive, checked and renamed. A part that can never become right is removed."""
    part = _part(order)
    try:
        bring(Transfer(source, part, order.path.name, order.remote, order.progress, order.note, order.stopped))
        sha256 = _checked(part.path, order, source)
    except SourceError:
        part.remove()
        raise
    if not order.remote.digest:
        Record(order.source.key, sha256).write(_first_use(order.path))
    part.path.replace(order.path)
    part.remove()
    return Archive(order.path, sha256, order.path.stat().st_size, source.shown)


def _checked(path: Path, order: _Order, source: Source) -> str:
    """The file's sha256, after its size and hash were compared with the recipe."""
    remote, name, size = order.remote, order.path.name, path.stat().st_size
    if remote.size not in (None, size):
        msg = f"{source.whose} {name} is {size} bytes, {remote.says} {remote.size}"
        raise SizeMismatch(msg, cause=source.wrong, remedy=source.remedy)
    algorithm, _, wanted = remote.digest.partition(":")
    hashes = {name: hashlib.new(name) for name in {"sha256", algorithm or "sha256"}}
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            if order.stopped():
                raise KeyboardInterrupt
            for each in hashes.values():
                each.update(block)
    if algorithm and hashes[algorithm].hexdigest() != wanted.lower():
        msg = f"{source.whose} {name} has the {algorithm} {hashes[algorithm].hexdigest()}, {remote.says} {wanted}"
        raise HashMismatch(msg, cause=source.wrong, remedy=source.remedy)
    return hashes["sha256"].hexdigest()


def _file_name(url: str) -> str:
    """The last part of the address's path, if it is a valid file name everywhere and not one that litekiln uses itself."""
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+=@~-]{0,199}", name) or name.endswith((".part", ".part.json")):
        msg = f"{without_secrets(url)!r} doesn't end with a usable file name: {name!r}"
        raise SourceError(
            msg, cause="the address leads to a web page, not to a file", remedy="use the address of the archive itself"
        )
    return name


def _refuse_odd_digest(digest: str) -> None:
    algorithm, _, value = digest.partition(":")
    if digest and not (algorithm in DIGEST_LENGTHS and re.fullmatch(rf"[0-9A-Fa-f]{{{DIGEST_LENGTHS[algorithm]}}}", value)):
        msg = f"{digest!r} is not a hash: sha256 has 64 and sha384 96 digits of 0-9 and a-f"
        raise SourceError(msg, cause="a typing error, or it was not copied whole", remedy="copy it again from the publisher's page")
