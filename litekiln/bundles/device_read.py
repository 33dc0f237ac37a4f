"""Read devices' figures. They come from other machines and other people: nothing in them is taken on trust."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from litekiln.bundles.device_format import FORMAT, DeviceFigures, ThreadTimes
from litekiln.errors import BundleError, UsageError
from litekiln.plain_files import plain_file, unreadable
from litekiln.wording import amount, shown, visible

LARGEST = 200_000  # bytes; a file has some 5,000
MOST_FILES = 200
MARK = "device_figures"
AGAIN = "measure again: docker run --rm IMAGE bench --json > FILE.json"
PARTS = {"preparation": "a preparation", "inference": "an inference", "frame": "a frame"}
SURROGATE = re.compile("[\ud800-\udfff]")


def device_files(names: list[str]) -> list[Path]:
    """The files that were named: a folder stands for its .json files."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = sorted(path.glob("*.json"))
            if not inside:
                raise UsageError(f"--device {visible(name)}: no .json file is in this folder", remedy=AGAIN)
            found += inside
        elif path.exists() or path.is_symlink():
            found.append(path)
        else:
            msg = f"--device {visible(name)}: there is no such file"
            raise UsageError(msg, cause="it is looked for in the current folder", remedy=f"name the file; or {AGAIN}")
    found = list(dict.fromkeys(found))
    if len(found) > MOST_FILES:
        msg = f"--device: {len(found)} files, at most {MOST_FILES} are compared"
        raise UsageError(msg, cause="the folder holds other files too", remedy="name the files of the devices to compare")
    return found


def read_device(path: Path) -> DeviceFigures:
    """A device's figures. Raises BundleError, which names the file, if it is anything else."""
    name = visible(str(path))
    value = _value(path, name)
    if not isinstance(value, dict) or MARK not in value:
        msg = f"{name} has no device's figures: the key {MARK!r} is missing"
        raise BundleError(msg, cause="it is another JSON file, or an older image wrote it", remedy=AGAIN)
    if value[MARK] != FORMAT or isinstance(value[MARK], bool):
        msg = f"{name} has format {shown(str(value[MARK]))}, this litekiln reads {FORMAT}"
        raise BundleError(msg, cause="an image of another litekiln wrote it", remedy=f"use that litekiln; or {AGAIN}")
    try:
        figures = msgspec.convert(value, DeviceFigures)
    except msgspec.ValidationError as error:
        raise _invalid(name, shown(str(error))) from None
    if wrong := next(_contradictions(value, figures), ""):
        raise _invalid(name, wrong)
    return figures


def _value(path: Path, name: str) -> Any:
    """The file's JSON value, in any of the encodings that shells write."""
    size = plain_file(path).st_size
    if not size:
        cause = "bench was killed before it ended: it writes its figures at the end, all at once"
        raise BundleError(f"{name} is empty", cause=cause, remedy=AGAIN)
    if size > LARGEST:
        msg = f"{name} is larger than any device's figures ({size} bytes, at most {LARGEST})"
        raise BundleError(msg, cause="it is another kind of file", remedy=AGAIN)
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        msg = f"{name} is not valid JSON: {shown(str(error))}"
        cause = "it was cut off or edited, or written by `docker run -t`, which mixes messages into it"
        raise BundleError(msg, cause=cause, remedy=f"{AGAIN} (without -t)") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _refuse(name: str) -> None:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def _invalid(name: str, what: str) -> BundleError:
    msg = f"{name} has figures that can't be used: {what}"
    return BundleError(msg, cause="it was edited, or an unfinished version of litekiln wrote it", remedy=AGAIN)


def _contradictions(value: Any, figures: DeviceFigures) -> Iterator[str]:
    """What no measurement gives."""
    for path, text in _texts(value, "$"):
        if not text.isprintable() or SURROGATE.search(text):
            yield f"a text that can't be printed - at `{shown(path)}`"
    counts = [each.threads for each in figures.threads]
    if counts != sorted(set(counts)):
        yield "numbers of threads that are not ascending - at `$.threads`"
    for place, each in enumerate(figures.threads):
        yield from (f"{what} - at `$.threads[{place}]`" for what in _odd(each, figures.rounds))


def _odd(each: ThreadTimes, rounds: int) -> Iterator[str]:
    for name, shown_as in PARTS.items():
        times = getattr(each, name)
        if not times.min <= times.median <= times.p95:
            yield f"{shown_as} whose minimum, median and 95th percentile are not ascending"
        if len(times.rounds) != rounds:
            yield f"{amount(len(times.rounds), 'median', 'medians')} of {shown_as}, for {amount(rounds, 'round', 'rounds')}"
        if not all(times.min <= median for median in times.rounds):
            yield f"a round whose median is below the minimum of {shown_as}"
    if each.frame.median <= 0 or each.inference.median <= 0:
        yield "a time of 0 ms"
    if each.frame.min < each.inference.min:
        yield "a whole frame that is faster than its inference"
    if each.runs < rounds:
        yield "fewer runs than rounds"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield path, name
            yield from _texts(each, f"{path}.{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _texts(each, f"{path}[{place}]")
