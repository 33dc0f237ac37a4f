"""Downloads with a pinned hash: the keys of a recipe or picture set, and the record of a first use.

If the publisher gives no hash, `sha256 = "first-use"` records the first download's hash in a lock file beside the recipe.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from litekiln.addresses import address_key, without_secrets
from litekiln.confined import beside
from litekiln.disk import write_whole
from litekiln.errors import RecipeError
from litekiln.toml_files import Table, load_table


@dataclass(frozen=True)
class Remote:
    """A download, as a recipe describes it."""

    url: str
    digest: str  # "sha256:<hex>" or "sha384:<hex>"; "" if none is known yet
    size: int | None = None
    recorded_in: str = ""  # the lock whose first use says digest and size; "" if the recipe says them

    @property
    def says(self) -> str:
        """Who says what the file must be, for messages."""
        return f"{self.recorded_in} records" if self.recorded_in else "the recipe says"


@dataclass(frozen=True)
class Archive:
    """A download on disk."""

    path: Path
    sha256: str
    size: int
    origin: str  # the address or the mirror's file it came from, or "already there"


FIRST_USE = "first-use"
LOCK = "source.lock"
DIGITS = {"sha256": 64, "sha384": 96}


class Pinned(Table, frozen=True, kw_only=True):
    """The keys of a table whose file may be downloaded."""

    url: str = ""
    sha256: str = ""
    sha384: str = ""
    size: Annotated[int, Meta(ge=1)] | None = None

    def check_pin(self) -> None:
        """Raise ValueError for an address or hash that can't be right."""
        if not self.url:
            return
        if not self.url.startswith("https://") and not re.match(r"http://(localhost|127\.0\.0\.1|\[::1\])[:/]", self.url):
            msg = f"url: expected an https address, got {without_secrets(self.url)!r}"
            raise ValueError(msg)
        if bool(self.sha256) == bool(self.sha384):
            msg = f"sha256: give sha256 or sha384 of the archive, or sha256 = {FIRST_USE!r} if nobody publishes one"
            raise ValueError(msg)
        for name, length in DIGITS.items():
            value = getattr(self, name)
            if value and value != FIRST_USE and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
                msg = f"{name}: expected {length} hex digits, got {value!r}"
                raise ValueError(msg)

    def remote(self, folder: Path) -> Remote:
        """What to fetch, with its expected hash: the recipe's, or the one that the first use recorded in `folder`."""
        if self.sha384:
            return Remote(self.url, f"sha384:{self.sha384}", self.size)
        if self.sha256 != FIRST_USE:
            return Remote(self.url, f"sha256:{self.sha256}", self.size)
        recorded = _recorded(folder)
        if recorded and recorded.is_of(self.url):
            return Remote(self.url, f"sha256:{recorded.sha256}", recorded.size, _lock_shown(folder))
        return Remote(self.url, "", self.size)


def refuse_missing(folder: Path, named: dict[str, str], *, shown_as: str, root: Path) -> None:
    """Refuse paths of a recipe or set that lead out of `root`, or to nothing. "" means that the key is not given."""
    for key, value in named.items():
        where = f"{root.name}/{folder.relative_to(root).as_posix()}/"
        try:
            missing = bool(value) and not _is_there(key, beside(folder, value, root=root))
        except (ValueError, OSError) as error:  # a circle of links, or a folder that may not be read
            msg = f"{shown_as}: {key}: {error}"
            cause = "a recipe reads only what lies beside it, so that a model from elsewhere can't take files of yours"
            raise RecipeError(msg, cause=cause, remedy=f"copy it into {where} and write its name there") from None
        if missing:
            msg = f"{shown_as}: {key}: no {value!r} in {where}"
            raise RecipeError(msg, remedy=f"write the path relative to {where}")


def _is_there(key: str, path: Path) -> bool:
    if key == "source.file":  # a SavedModel is a folder
        return path.exists()
    return path.is_dir() if key.endswith("folder") else path.is_file()


class FirstUse(Table, frozen=True, kw_only=True):
    """source.lock: the record of the first download. Where the address has secrets, `url` lacks them and `key` is its hash."""

    url: str
    key: str = ""
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(ge=1)]

    def is_of(self, url: str) -> bool:
        return self.key == address_key(url) if self.key else self.url == url


def _recorded(folder: Path) -> FirstUse | None:
    path = folder / LOCK
    return load_table(path, FirstUse, shown_as=_lock_shown(folder)) if path.exists() else None


def _lock_shown(folder: Path) -> str:
    return "/".join((*folder.parts[-2:], LOCK))


def record_first_use(folder: Path, url: str, archive: Archive) -> Path:
    """The lock file's path, after writing it whole or not at all."""
    path = folder / LOCK
    shown = without_secrets(url)
    first = FirstUse(url=shown, key="" if shown == url else address_key(url), sha256=archive.sha256, size=archive.size)
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in msgspec.structs.asdict(first).items() if value]
    head = "# What the first download had. Later ones must match. To accept a new file, delete this one and build again.\n"
    write_whole(path, (head + "".join(lines)).encode())
    return path
