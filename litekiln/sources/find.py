"""Find a user's own model: in an archive, a folder, a file, or as one checkpoint of several."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from litekiln.errors import LitekilnError, SourceError
from litekiln.formats.archives import unpack
from litekiln.formats.checkpoint import check_complete, find_checkpoint, index_file
from litekiln.plain_files import plain_file
from litekiln.sources.api_checkpoint import CONFIG, Findings, check_kind, inspect_source
from litekiln.sources.checkpoint_fit import check_named
from litekiln.sources.checkpoint_values import check_values
from litekiln.sources.kinds import SAVED_MODEL
from litekiln.sources.recognise import KNOWN, Found, Named, of_checkpoint, recognise
from litekiln.sources.saved_model import VARIABLES
from litekiln.wording import nearest

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tar.xz", ".zip")


def is_archive(source: Path) -> bool:
    return source.is_file() and source.name.lower().endswith(ARCHIVES)


def find_source(source: Path, scratch: Path, named: Named) -> Found:
    """What a user's source holds. An archive is unpacked to `scratch`: keep that folder while the result is used."""
    if is_archive(source):
        plain_file(source)
        unpack(source, scratch)
        with errors_naming(source, scratch):
            found = _with_values(recognise(scratch, named))
        notes, warnings = ([text.replace(str(scratch), source.name) for text in texts] for texts in (found.notes, found.warnings))
        return replace(found, notes=notes, warnings=warnings)
    if source.is_dir() or named.function or (source.is_file() and not _is_checkpoint(source)):
        found = recognise(source, named)
    else:
        found = of_checkpoint(_named_checkpoint(source, named.labels))
    return _with_values(found)


def _looked_at(prefix: Path) -> list[str]:
    """Warnings about the values of a checkpoint; a damaged one, or one without all its variables, is a SourceError."""
    variables = check_complete(prefix)
    check_named(prefix, variables)
    return check_values(prefix, variables)


def _with_values(found: Found) -> Found:
    """The source after a look at the values of its weights, which takes a second: too long for each build."""
    if found.checkpoint:
        check_kind(found.checkpoint)
        return replace(found, warnings=found.warnings + _looked_at(found.path))
    prefix = found.path / VARIABLES
    if found.kind == SAVED_MODEL.name and index_file(prefix).is_file():
        return replace(found, warnings=found.warnings + _looked_at(prefix))
    return found


def inspect_archive(archive: Path, scratch: Path, stopped: Callable[[], bool] = lambda: False) -> Findings:
    """The checkpoint in an archive. It is unpacked to `scratch`: keep that folder while the findings are used."""
    unpack(archive, scratch, stopped)
    with errors_naming(archive, scratch):
        findings = inspect_source(scratch)
        check_kind(findings)
        warnings = findings.warnings + _looked_at(findings.prefix)
    notes, warnings = ([text.replace(str(scratch), archive.name) for text in texts] for texts in (findings.notes, warnings))
    return replace(findings, notes=notes, warnings=warnings)


@contextmanager
def errors_naming(archive: Path, scratch: Path) -> Iterator[None]:
    """A context whose errors name the archive instead of `scratch`: users do not know that folder."""
    try:
        yield
    except LitekilnError as error:
        for part in ("what", "cause", "remedy"):
            setattr(error, part, getattr(error, part).replace(str(scratch), archive.name))
        raise


def _is_checkpoint(path: Path) -> bool:
    return bool(re.search(r".\.(index|meta|data-\d{5}-of-\d{5})$", path.name)) or index_file(path).is_file()


def _named_checkpoint(source: Path, labels: Path | None) -> Findings:
    """The checkpoint that the user names, even if its folder has others."""
    if not _is_checkpoint(source):
        names = sorted({path.name.removesuffix(".index") for path in source.parent.glob("*")})
        close = nearest(source.name, names)
        cause = f"did you mean {source.with_name(close)}?" if close else ""
        raise SourceError(f"{source}: no such archive, folder, file or checkpoint", cause=cause, remedy=KNOWN)
    prefix = find_checkpoint(source)
    folder = next((place for place in (prefix.parent, prefix.parent.parent) if (place / CONFIG).is_file()), None)
    if not folder:
        msg = f"no {CONFIG} beside the checkpoint {prefix} or one folder up"
        raise SourceError(msg, cause="only the checkpoint was copied", remedy=f"copy the training's {CONFIG} beside it")
    return inspect_source(folder, labels, prefix)
