"""How many of the frames that the network looks at a viewer gets: over HTTP, and in Chromium with the page itself.

    .litekiln/host/bin/python bench/served.py [--bundle DIR]… [--seconds N] [--rate N] [--threads N]

The server runs in its own process, as in the image, with a clip of 640x480 JPEG frames at a camera's rate. First a program asks for
frames on one kept connection, as the page does; then Chromium opens the page, and the frames that it draws are counted. Goal: at
least 0.95 of the frames inferred are shown, at 30 a second. The exit code is 0 either way.
"""

import argparse
import http.client
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "pi"), str(ROOT / "steps")]

from runtime import clip  # noqa: E402 - the paths above come first

from litekiln_pi.frames import Shot  # noqa: E402
from litekiln_pi.machine import best_threads  # noqa: E402
from litekiln_pi.model import Bundle  # noqa: E402
from litekiln_pi.pipeline import Pipeline  # noqa: E402
from litekiln_pi.server import Settings, serve  # noqa: E402

PORT, GOAL, WARM_UP = 18_478, 0.95, 2.0
# Counts the pictures that the page draws, each once.
COUNTER = """
window.drawn = 0;
const known = new WeakSet(), draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
  if (!known.has(picture)) { known.add(picture); window.drawn += 1; }
  return draw.call(this, picture, ...rest);
};
"""


class Camera:
    """The clip's frames again and again, `rate` a second."""

    name, live = "clip", True

    def __init__(self, frames: list[bytes], rate: float) -> None:
        self._frames, self._rate, self._stopped = frames, rate, False

    def shots(self) -> Iterator[Shot]:
        count, due = 0, time.monotonic()
        while not self._stopped:
            yield Shot(jpeg=self._frames[count % len(self._frames)])
            count, due = count + 1, due + 1 / self._rate
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        self._stopped = True


def run_server(folder: Path, rate: float, threads: int) -> None:
    bundle = Bundle(folder)
    pipeline = Pipeline(bundle.open(threads or best_threads(bundle)), Camera(clip(), rate))
    serve(pipeline, bundle, Settings(host="127.0.0.1", port=PORT))


@contextmanager
def server(folder: Path, rate: float, threads: int) -> Iterator[str]:
    """A server's name for its model, while it runs."""
    argv = [sys.executable, __file__, "--serve", "--bundle", str(folder), "--rate", str(rate), "--threads", str(threads)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                try:
                    if inferred() > rate:
                        break
                except OSError:
                    time.sleep(0.1)
            yield str(state()["model"])
        finally:
            process.terminate()


def state() -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/state", timeout=10) as answer:
        told: dict[str, object] = json.load(answer)
    return told


def inferred() -> int:
    return int(str(state()["looked_at"]))


def over_http(seconds: float) -> tuple[int, int]:
    """The frames that a program got, and those that were inferred meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    count, number, end, before = 0, -1, time.monotonic() + seconds, inferred()
    while time.monotonic() < end:
        connection.request("GET", f"/api/frame?after={number}&threshold=0")
        answer = connection.getresponse()
        answer.read()
        number = json.loads(answer.headers["x-litekiln-frame"])["frame"]
        count += 1
    return count, inferred() - before


def in_chromium(seconds: float) -> tuple[int, int] | None:
    """The frames that the page drew, and those that were inferred meanwhile; None without Chromium."""
    try:
        from tests.helpers.browsing import DESK, chromium
    except ImportError:
        return None
    with chromium() as browser:
        page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
        page.add_init_script(COUNTER)
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.wait_for_timeout(WARM_UP * 1000)
        before, drawn = inferred(), page.evaluate("drawn")
        page.wait_for_timeout(seconds * 1000)
        return page.evaluate("drawn") - drawn, inferred() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, action="append", help="default: out/shapes/int8")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement (default: 10)")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second of the clip (default: 30)")
    parser.add_argument("--threads", type=int, default=1, help="0: measured at the start, as the image does (default: 1)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folders = options.bundle or [ROOT / "out" / "shapes" / "int8"]
    if options.serve:
        run_server(folders[0], options.rate, options.threads)
        return
    for folder in folders:
        with server(folder, options.rate, options.threads) as name:
            for way, counts in (("HTTP", over_http(options.seconds)), ("Chromium", in_chromium(options.seconds))):
                if counts is None:
                    print(f"{name}  {way}: not measured, Chromium or playwright is missing")
                    continue
                shown, of = counts
                met = "yes" if shown >= GOAL * of else "NO"
                speed = f"{shown / options.seconds:.1f} of {of / options.seconds:.1f} frames a second shown"
                print(f"{name}  {way}: {speed}, shown/inferred {shown / of:.3f}, >= {GOAL}: {met}", flush=True)


if __name__ == "__main__":
    main()
