"""What can be asked of the image, and the help that says so."""

import argparse
import os
from pathlib import Path

ABOUT = "Detect objects on a Raspberry Pi: camera to detections to web page. Without a command: serve."
SOURCE = (
    "/dev/video0 (a USB camera; the container needs --device /dev/video0), rtsp://… or http://… (a camera that gives MJPEG), "
    "a file or a folder, - (MJPEG on standard input, as rpicam-vid writes it), or test (a moving test picture)"
)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="litekiln", description=ABOUT)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    serve = commands.add_parser("serve", help="camera to web page, on port 8080")
    _watching(serve)
    serve.add_argument("--host", default=_default("HOST", "0.0.0.0"), help="the address to listen on (default: all)")  # noqa: S104
    serve.add_argument("--port", type=_port, default=_port(_default("PORT", "8080")))
    serve.add_argument(
        "--snapshots", type=Path, default=_default("SNAPSHOTS", "") or None, help="keep snapshots in this folder too"
    )
    watch = commands.add_parser("watch", help="detections as JSON, one line a frame, on standard output")
    _watching(watch)
    watch.add_argument("--count", type=int, default=0, help="end after so many frames")
    detect = commands.add_parser("detect", help="detections in pictures' files as JSON, one line a picture")
    detect.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, or folders of pictures")
    detect.add_argument("--out", type=Path, help="also write the pictures here, with boxes and names")
    _threshold(detect)
    bench = commands.add_parser("bench", help="how fast this machine is, by number of threads")
    bench.add_argument("--seconds", type=float, default=3.0, help="how long each number of threads is measured")
    info = commands.add_parser("info", help="the model: what it was made from, what it wants, how good it is")
    selftest = commands.add_parser("selftest", help="look at the bundled picture: the recorded detections must come out")
    for each in (bench, info, selftest):
        each.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("health", help="what the image's health check runs: whether the server answers")
    return top


def _watching(command: argparse.ArgumentParser) -> None:
    command.add_argument("--source", default=_default("SOURCE", "/dev/video0"), help=f"{SOURCE} (default: /dev/video0)")
    command.add_argument("--width", type=int, default=640, help="of a camera's picture (default: 640)")
    command.add_argument("--height", type=int, default=480, help="of a camera's picture (default: 480)")
    command.add_argument("--fps", type=int, default=0, help="of a camera (default: what it does by itself)")
    command.add_argument(
        "--threads", type=_threads, default=_threads(_default("THREADS", "auto")), help="auto: measured at the start"
    )
    _threshold(command)


def _threshold(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--threshold", type=_share, default=_share(_default("THRESHOLD", "0.4")), help="lowest score (default: 0.4)"
    )


def _default(name: str, value: str) -> str:
    """Every option of the server can be an environment variable: compose files have those."""
    return os.environ.get(f"LITEKILN_{name}", value)


def _threads(value: str) -> int:
    if value == "auto":
        return 0
    if value.isdigit() and 1 <= int(value) <= 64:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r}: auto, or a number from 1 to 64")


def _share(value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{value!r}: a number from 0 to 1")
    return share


def _port(value: str) -> int:
    if value.isdigit() and 1 <= int(value) <= 65535:
        return int(value)
    raise argparse.ArgumentTypeError(f"{value!r}: a port from 1 to 65535")
