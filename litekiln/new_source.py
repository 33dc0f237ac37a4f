"""Where a user's own model is: an archive, a folder, or one checkpoint of several. Found, looked into, or refused."""

import difflib
import re
from pathlib import Path

from litekiln.checkpoint import find_checkpoint, index_file
from litekiln.errors import SourceError
from litekiln.inspect_source import CONFIG, WAY_OUT, Findings, inspect_source
from litekiln.unpack import unpack

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")


def is_archive(source: Path) -> bool:
    return source.is_file() and source.name.lower().endswith(ARCHIVES)


def find_source(source: Path, labels: Path, scratch: Path) -> Findings:
    """What a user's source holds. An archive is unpacked to `scratch`, which must stay while the findings are used."""
    if is_archive(source):
        return inspect_archive(source, scratch, labels)
    if source.is_dir() or (source.is_file() and not _is_checkpoint(source)):
        findings = inspect_source(source.parent if source.name == CONFIG else source, labels)
    else:
        findings = _named_checkpoint(source, labels)
    check_kind(findings)
    return findings


def inspect_archive(archive: Path, scratch: Path, labels: Path | None = None) -> Findings:
    """What an archive holds, unpacked to `scratch`, which must stay while the findings are used."""
    unpack(archive, scratch)
    try:
        findings = inspect_source(scratch, labels)
    except SourceError as error:  # said with the archive's name: nobody knows the folder, which is gone soon
        for part in ("what", "cause", "remedy"):
            setattr(error, part, getattr(error, part).replace(str(scratch), archive.name))
        raise
    findings.notes[:] = [note.replace(str(scratch), archive.name) for note in findings.notes]
    check_kind(findings)
    return findings


def _is_checkpoint(path: Path) -> bool:
    return bool(re.search(r".\.(index|meta|data-\d{5}-of-\d{5})$", path.name)) or index_file(path).is_file()


def _named_checkpoint(source: Path, labels: Path) -> Findings:
    """The checkpoint that was named, whichever others there are."""
    if not _is_checkpoint(source):
        there = sorted({path.name.removesuffix(".index") for path in source.parent.glob("*")})
        close = difflib.get_close_matches(source.name, there, n=1)
        cause = f"did you mean {source.with_name(close[0])}?" if close else ""
        raise SourceError(f"{source}: no such archive, folder or checkpoint", cause=cause, remedy=WAY_OUT)
    prefix = find_checkpoint(source)
    folder = next((place for place in (prefix.parent, prefix.parent.parent) if (place / CONFIG).is_file()), None)
    if not folder:
        msg = f"no {CONFIG} beside the checkpoint {prefix} or one folder up"
        raise SourceError(msg, cause="only the checkpoint was copied", remedy=f"copy the training's {CONFIG} beside it")
    return inspect_source(folder, labels, prefix)


def check_kind(found: Findings) -> None:
    """What `inv build` can take on from here."""
    if found.pipeline.channels == 1:
        msg = "the model takes grey pictures, which is not supported"
        raise SourceError(msg, cause=f"{CONFIG} sets convert_to_grayscale", remedy="train it on pictures in colour")
