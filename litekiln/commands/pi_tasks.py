"""The tasks that run a bundle, or make an image that does. tasks.py has the others."""

from invoke.context import Context
from invoke.tasks import task

from litekiln.commands.runner import COMMON, run_command
from litekiln.engines.names import AUTO

BUNDLE = {
    "model": "a folder below models/",
    "variant": "which of its variants; built first if it is missing or out of date",
}
THRESHOLD = "lowest score to report, from 0 to 1 (default: 0.4)"


@task(
    iterable=["picture"],
    help={
        **BUNDLE,
        "picture": "a picture, or a folder of pictures; the option's name can be left out: `inv detect … a.jpg b.jpg` "
        "(default: the bundle's examples)",
        "out": "also write the pictures to this folder, with boxes and names",
        "threshold": THRESHOLD,
        "engine": COMMON["engine"],
        "json": "print one JSON value on stdout instead of a line for each picture",
        "debug": COMMON["debug"],
    },
)
def detect(
    _: Context,
    model: str,
    variant: str,
    picture: list[str],
    out: str = "",
    threshold: str = "",
    engine: str = AUTO,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show what a bundle detects in pictures, on this computer: a line of JSON for each. No Docker needed."""
    from litekiln.commands.detect import DetectRequest
    from litekiln.commands.detect import detect as detect_in

    request = DetectRequest(model=model, variant=variant, pictures=picture, out=out, threshold=threshold, engine=engine, keep=json)
    run_command(detect_in, request, as_json=json, debug=debug, prints_data=True)


@task(
    auto_shortflags=False,  # -h would be --host, and not help
    help={
        **BUNDLE,
        "source": "/dev/video0 (a webcam, the default), rtsp://… or http://… (a camera that sends MJPEG), a file or a folder, "
        "- (MJPEG on standard input), or test (a moving test picture)",
        "host": "the address to listen on (default: 127.0.0.1, for this computer alone; 0.0.0.0 lets your network watch)",
        "port": "the port to listen on (default: 8080)",
        "width": "width of a webcam's picture (default: 640)",
        "height": "height of a webcam's picture (default: 480)",
        "fps": "frames per second of a webcam (default: its own)",
        "threads": "number of threads, or auto: measured at the start (default: auto)",
        "threshold": THRESHOLD,
        "snapshots": "also keep snapshots in this folder",
        **{name: COMMON[name] for name in ("engine", "json", "debug")},
    },
)
def camera(
    _: Context,
    model: str,
    variant: str,
    source: str = "/dev/video0",
    host: str = "127.0.0.1",
    port: int = 8080,
    width: str = "",
    height: str = "",
    fps: str = "",
    threads: str = "",
    threshold: str = "",
    snapshots: str = "",
    engine: str = AUTO,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show a webcam's picture with a bundle's detections as a web page, on this computer. No Docker needed."""
    from litekiln.commands.camera import CameraRequest
    from litekiln.commands.camera import camera as watch

    request = CameraRequest(
        model=model,
        variant=variant,
        source=source,
        host=host,
        port=port,
        width=width,
        height=height,
        fps=fps,
        threads=threads,
        threshold=threshold,
        snapshots=snapshots,
        engine=engine,
    )
    run_command(watch, request, as_json=json, debug=debug)


@task(
    auto_shortflags=False,  # -h would be --host, and not help
    help={
        "list": "a file with one address on each line, or addresses with commas between; mdns finds Pis that announce themselves",
        "host": "the address to listen on (default: 127.0.0.1, for this computer alone; 0.0.0.0 lets your network watch)",
        "port": "the port to listen on (default: 8080)",
        "once": "no page: ask each Pi once and print a table. Exit code 1 if one is not well",
        "json": "with --once: print one JSON value on stdout instead of the table",
        "debug": COMMON["debug"],
    },
)
def fleet(
    _: Context,
    list: str,  # noqa: A002 - the flag's name
    host: str = "127.0.0.1",
    port: int = 8080,
    once: bool = False,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show all Pis of a room on one page: which are well, and what the others need. No Docker needed."""
    from litekiln.commands.fleet import FleetRequest
    from litekiln.commands.fleet import fleet as watch

    request = FleetRequest(roster=list, host=host, port=port, once=once, keep=json)
    run_command(watch, request, as_json=json, debug=debug, prints_data=once)


@task(
    help={
        **BUNDLE,
        "seconds": "how long to measure each number of threads (default: 8)",
        "engine": COMMON["engine"],
        "json": "print a document for `inv report --device` on stdout; progress goes to stderr",
        "debug": COMMON["debug"],
    },
)
def bench(
    _: Context, model: str, variant: str, seconds: str = "", engine: str = AUTO, json: bool = False, debug: bool = False
) -> None:
    """Measure how long a bundle's frame takes on this computer, by number of threads. `bench` in an image does it on a Pi."""
    from litekiln.commands.bench import BenchRequest
    from litekiln.commands.bench import bench as measure

    request = BenchRequest(model=model, variant=variant, seconds=seconds, json=json, engine=engine)
    run_command(measure, request, as_json=json, debug=debug, prints_value=True)


@task(
    help={
        **BUNDLE,
        "tag": "the image's name (default: litekiln/MODEL:VARIANT)",
        "base": "auto, registry (digest-pinned) or debian (made from Debian packages, if no registry can be reached)",
        "push": "send it to a registry: registry.example.org/me",
        "platform": "linux/arm64 (a Pi, the default), linux/amd64 (most computers), or both with a comma between",
        "save": "write it to FILE.tar.gz for Pis without a network; `docker load -i` reads it there",
        **{name: COMMON[name] for name in ("engine", "json", "debug")},
    },
)
def pi(
    _: Context,
    model: str,
    variant: str,
    tag: str = "",
    base: str = "auto",
    push: str = "",
    save: str = "",
    platform: str = "linux/arm64",
    engine: str = AUTO,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Make the image of a bundle: runtime, model and web page, for a Raspberry Pi (arm64) or a computer (amd64)."""
    from litekiln.commands.pi import PiRequest
    from litekiln.commands.pi import pi as make_image

    request = PiRequest(model=model, variant=variant, tag=tag, base=base, push=push, save=save, platform=platform, engine=engine)
    run_command(make_image, request, as_json=json, debug=debug)
