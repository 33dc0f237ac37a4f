"""The image's commands, their options and their help."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from litekiln_pi.errors import BadUse
from litekiln_pi.place import DESK

ABOUT = "Detect objects on a Raspberry Pi: camera to detections to web page. Without a command: serve."
SOURCE = (
    "/dev/video0 (a USB camera; the container needs --device /dev/video0), rtsp://… or http://… (a camera that sends MJPEG, or "
    "a JPEG for each request), tcp://HOST:PORT (MJPEG, as rpicam-vid sends it), a file or a folder, - (MJPEG on standard input), "
    "or test (a moving test picture)"
)


LIST = "a file with one address on each line, or addresses with commas between; mdns finds those that announce themselves"


class _Parser(argparse.ArgumentParser):
    """On a desk its errors leave out how the image's commands are used, which nobody typed there."""

    def error(self, message: str) -> NoReturn:
        if DESK:
            raise BadUse(message, f"`inv --help {DESK.split()[1]}` explains each option")
        super().error(message)


def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="litekiln", description=ABOUT)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    serve = commands.add_parser("serve", help="camera to web page, on port 8080")
    _watching(serve)
    _setting(serve, "host", str, "0.0.0.0", "the address to listen on (default: all)")  # noqa: S104
    _setting(serve, "port", _port, "8080", "the port to listen on (default: 8080)")
    _setting(serve, "name", _name, "", "this Pi's name, for the page's title")
    _setting(serve, "counts-only", _yes, "0", "give no pictures to anybody, only detections, events and counts", alone=True)
    _setting(serve, "events", Path, None, "a JSON file with lines, zones and thresholds for events; the page can change it")
    _setting(serve, "webhook", str, "", "send each event as JSON to this address; a variable keeps it out of the list of processes")
    _setting(serve, "mqtt", str, "", "send events and counts to this broker: mqtt://HOST, or mqtts://HOST with TLS")
    _setting(serve, "hostnames", _names, "", "names of this server beside addresses and local ones, such as cam.example.org")
    _setting(serve, "snapshots", Path, None, "also keep snapshots in this folder; pictures for training in its folder `training`")
    _setting(serve, "collect", _band, None, "keep frames for training automatically, if a score is within this band: 0.3-0.6")
    _setting(serve, "collect-seconds", _seconds, "30", "at least so long from one of them to the next (default: 30)")
    _setting(serve, "collect-most", _many, "1000", "keep at most so many pictures for training (default: 1000)")
    _setting(serve, "fleet", str, "", f"the other Pis of the room, for the page /fleet: {LIST}")
    _setting(serve, "announce", _yes, "0", "be found by others that look for Pis by mDNS", alone=True)
    watch = commands.add_parser("watch", help="detections as JSON on standard output, one line per frame")
    _watching(watch)
    watch.add_argument("--count", type=int, default=0, help="stop after this many frames")
    coco = commands.add_parser("coco", help="pictures kept for training, with their boxes as one COCO file")
    coco.add_argument("folder", type=Path, metavar="FOLDER", help="the folder `training` in that of the snapshots")
    coco.add_argument("--out", type=Path, required=True, help="a new folder: images/ and annotations.json")
    detect = commands.add_parser("detect", help="detections in picture files as JSON, one line per picture")
    detect.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, or folders of pictures")
    detect.add_argument("--out", type=Path, help="also write the pictures here, with boxes and names; equal names get a number")
    _threshold(detect)
    bench = commands.add_parser("bench", help="how fast this machine is, by number of threads")
    bench.add_argument("--seconds", type=_duration, default=8.0, help="how long to measure each number of threads (default: 8)")
    info = commands.add_parser("info", help="the model: its source, its input and its accuracy")
    selftest = commands.add_parser("selftest", help="compare the detections in the bundle's picture with the recorded ones")
    for each in (bench, info, selftest):
        each.add_argument("--json", action="store_true", help="print JSON")
    _fleet(commands.add_parser("fleet", help="a page of all Pis of a room, without a camera and a model of its own"))
    commands.add_parser("health", help="the image's health check: whether the server answers")
    return top


def _fleet(command: argparse.ArgumentParser) -> None:
    _setting(command, "list", str, "", LIST, variable="LITEKILN_FLEET")
    _setting(command, "host", str, "0.0.0.0", "the address to listen on (default: all)")  # noqa: S104
    _setting(command, "port", _port, "8080", "the port to listen on (default: 8080)")
    _setting(command, "hostnames", _names, "", "names of this server beside addresses and local ones, such as room.example.org")
    command.add_argument("--once", action="store_true", help="ask each Pi once, print a table, and end: with 1 if one is not well")
    command.add_argument("--json", action="store_true", help="with --once: print JSON")


def _watching(command: argparse.ArgumentParser) -> None:
    _setting(command, "source", str, "/dev/video0", f"{SOURCE} (default: /dev/video0)")
    _setting(command, "width", int, "640", "width of a camera's picture (default: 640)")
    _setting(command, "height", int, "480", "height of a camera's picture (default: 480)")
    _setting(command, "fps", _rate, "0", "frames per second of a camera: more are dropped (default: the camera's own)")
    _setting(command, "threads", _threads, "auto", "number of threads, or auto: measured at the start (default: auto)")
    _setting(command, "rate", _rate, "0", "look at no more frames a second than this (default: as many as possible)")
    motion = "look only at frames in which something changed, by so many levels of 255: 8 is usual (default: 0, at all)"
    _setting(command, "motion", _levels, "0", motion)
    _threshold(command)
    strict = "end with exit code 4 if the selftest fails, instead of a warning"
    _setting(command, "strict", _yes, "0", strict, alone=True)


def _threshold(command: argparse.ArgumentParser) -> None:
    _setting(command, "threshold", _share, "0.4", "lowest score to report (default: 0.4)")


def _setting(
    command: argparse.ArgumentParser,
    name: str,
    kind: Callable[[str], Any],
    default: str | None,
    text: str,
    *,
    alone: Any = None,
    variable: str = "",
) -> None:
    """Add an option that an environment variable can also set, for compose files. An empty variable counts as unset.

    `alone` is the value of an option that needs none.
    """
    variable = variable or f"LITEKILN_{name.upper().replace('-', '_')}"
    from_env = os.environ.get(variable)

    def read(value: str) -> Any:
        try:
            return kind(value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            reason = str(error) if isinstance(error, argparse.ArgumentTypeError) else f"{value!r} is not a whole number"
            raise argparse.ArgumentTypeError(f"{reason} (from {variable})" if value == from_env else reason) from None

    optional = {} if alone is None else {"nargs": "?", "const": alone}
    metavar, said = name.rpartition("-")[2].upper(), f"{text}; or {variable}{'' if alone is None else '=1'}"
    command.add_argument(f"--{name}", type=read, default=from_env or default, help=said, metavar=metavar, **optional)


def _names(value: str) -> frozenset[str]:
    from litekiln_pi.server.names import parse

    try:
        return parse(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _yes(value: str) -> bool:
    if value in ("0", "1"):
        return value == "1"
    raise argparse.ArgumentTypeError(f"{value!r} is neither 1 nor 0")


def _threads(value: str) -> int:
    if value == "auto":
        return 0
    if value.isdigit() and 1 <= int(value) <= 64:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is neither auto nor a number from 1 to 64")


def _name(value: str) -> str:
    name = " ".join(value.split())
    if len(name) <= 60 and name.isprintable():
        return name
    raise argparse.ArgumentTypeError("a name has up to 60 letters")


def _band(value: str) -> tuple[float, float]:
    low, _, high = value.partition("-")
    try:
        band = float(low), float(high)
    except ValueError:
        band = 1.0, 0.0
    if not 0 <= band[0] <= band[1] <= 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a band of scores, such as 0.3-0.6")
    return band


def _seconds(value: str) -> float:
    return _from(value, 1.0, 86400.0, "a number of seconds from 1 to 86400")


def _duration(value: str) -> float:
    return _from(value, 0.1, 3600.0, "a number of seconds from 0.1 to 3600")


def _many(value: str) -> int:
    if value.isdigit() and 1 <= int(value) <= 100_000:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is not a number from 1 to 100000")


def _share(value: str) -> float:
    return _from(value, 0.0, 1.0, "a number from 0 to 1")


def _rate(value: str) -> float:
    return _from(value, 0.0, 1000.0, "a number from 0 to 1000")


def _levels(value: str) -> float:
    return _from(value, 0.0, 255.0, "a number from 0 to 255")


def _from(value: str, least: float, most: float, what: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"{value!r} is not {what}")
    return number


def _port(value: str) -> int:
    if value.isdigit() and 1 <= int(value) <= 65535:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r} is not a port from 1 to 65535")
