"""TOML files as frozen values: unknown and missing keys are errors with a path and a suggestion."""

import math
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from litekiln.disk import machine_error
from litekiln.errors import RecipeError
from litekiln.wording import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    import tomli as toml


LARGEST_TOML = 1 << 16  # bytes
MOST_PARTS = 64  # of a key with dots
LONG_KEY = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){{{MOST_PARTS}}}""")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table that allows known keys only. `__post_init__` may raise ValueError("key: what is wrong with it")."""


T = TypeVar("T", bound=Table)


def parse_toml(text: str) -> dict[str, Any]:
    value: dict[str, Any] = toml.loads(text)
    return value


def read_text(path: Path, *, shown_as: str, largest: int = LARGEST_TOML) -> str:
    """The text of a file that a person wrote."""
    if path.exists() and not path.is_file():  # a named pipe would never end
        raise RecipeError(f"{shown_as}: that is not a plain file", remedy="put the file there, or remove its folder")
    try:
        if path.stat().st_size > largest:
            msg = f"{shown_as}: longer than {largest} bytes"
            raise RecipeError(msg, cause="it is another file under this name", remedy=f"check {shown_as}")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"{shown_as}: no such file"
        raise RecipeError(msg, remedy=f"check the name, or create {shown_as}") from None
    except UnicodeDecodeError as error:
        msg = f"{shown_as}: not a text in UTF-8: {error}"
        raise RecipeError(msg, remedy="save it again as UTF-8") from None
    except OSError as error:
        msg = f"{shown_as}: can't be read: {error.strerror}"
        own = RecipeError(msg, cause="it belongs to somebody else, or its disk is failing", remedy="make it readable")
        raise machine_error(shown_as, error) or own from None


def load_table(path: Path, shape: type[T], *, shown_as: str) -> T:
    """A TOML file as a `shape`. The error lists every wrong key at once, or the first wrong value."""
    text = read_text(path, shown_as=shown_as)
    try:
        _refuse_long_keys(text)
        data = parse_toml(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, a number of 5000 digits
        msg = f"{shown_as}: not valid TOML: {error}"
        raise RecipeError(msg, remedy="fix that line") from None
    problems = [*_wrong_keys(shape, data, ""), *_no_numbers(data, "")]
    if not problems:
        try:
            return msgspec.convert(data, shape)
        except msgspec.ValidationError as error:
            problems = [_wrong_value(str(error))]
    raise RecipeError(
        "\n".join(f"{shown_as}: {problem}" for problem in problems), remedy=f"fix {shown_as}; docs/files.md lists every key"
    )


def _refuse_long_keys(text: str) -> None:
    """ValueError for a key of very many parts: Python's parser takes a square of time for it, 12 s for 64 kB."""
    if LONG_KEY.search(text):
        msg = f"a key of more than {MOST_PARTS} parts"
        raise ValueError(msg)


def _wrong_keys(shape: type[Table], data: dict[str, Any], prefix: str) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(shape)}
    for name in sorted(set(data) - set(fields)):
        yield _unknown(f"{prefix}{name}", name, fields)
    for name, field in fields.items():
        if name not in data:
            if field.required:
                yield f"{prefix}{name}: missing"
            continue
        if isinstance(data[name], dict):
            yield from _wrong_inside(field.type, data[name], f"{prefix}{name}.")


def _wrong_inside(annotation: Any, data: dict[str, Any], prefix: str) -> Iterator[str]:
    """Wrong keys below a key that holds a table, or named tables: msgspec's message leaves the name out."""
    inner = _table_in(annotation)
    if not inner:
        return
    if get_origin(annotation) is not dict:
        yield from _wrong_keys(inner, data, prefix)
        return
    known = get_args(get_args(annotation)[0])
    for name, value in sorted(data.items()):
        path = f"{prefix}{name}"
        problems = [_unknown(path, name, known)] if name not in known else []
        if not problems and isinstance(value, dict):
            problems = list(_wrong_keys(inner, value, f"{path}."))
        try:
            msgspec.convert({} if problems else {name: value}, annotation)
        except msgspec.ValidationError as error:
            problems = [_wrong_value(str(error).replace("[...]", f".{path}"))]
        yield from problems


def _no_numbers(value: Any, path: str) -> Iterator[str]:
    """Numbers of TOML that no key can mean: infinite, not a number, or longer than 64 bits."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _no_numbers(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for each in value:
            yield from _no_numbers(each, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: expected a number, got {value}"
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        yield f"{path}: expected a number of at most 64 bits"


def _unknown(path: str, name: str, known: Iterable[str]) -> str:
    return f"{path}: unknown key, {did_you_mean(name, known, 'known here')}"


def _table_in(annotation: Any) -> type[Table] | None:
    """The Table type inside `X` or `X | None`."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Table):
            return candidate
    return None


def _wrong_value(message: str) -> str:
    """msgspec's message with the path first. It arrives as "Expected `str`, got `int` - at `$.source.url`"."""
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", message, re.DOTALL)
    if not found:
        return message
    what, path = found[1].replace("`", "").replace(" | null", ""), found[2]  # TOML has no null
    inner, separator, problem = what.partition(": ")
    if separator and inner.isidentifier():  # from a __post_init__, which knows the key that the path lacks
        return f"{path}.{inner}: {problem}"
    return f"{path}: {what[0].lower()}{what[1:]}"
