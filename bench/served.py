"""What a viewer gets of the frames that the network looks at, and how late: over HTTP, and in Chromium with the page itself.

    .litekiln/host/bin/python bench/served.py [--bundle DIR]… [--seconds N] [--rate N] [--threads N]

The server runs in its own process, as in the image, with a clip of 640x480 JPEG frames at a camera's rate. At first nobody watches,
and the server's share of a core is measured. Then a program asks for frames on one kept connection, as the page does; then Chromium
opens the page, and the frames that it draws are counted. Goals: at most 2 % of a core while nobody watches; at least 0.95 of the
frames inferred are shown, at 30 a second; from a frame's arrival to its boxes at most 1.2 times the inference (a network that takes
as long as decoding a JPEG can't reach that). The exit code is 0 either way.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "pi"), str(ROOT / "steps")]

from runtime import clip  # noqa: E402 - the paths above come first

from litekiln_pi.frames import Shot  # noqa: E402
from litekiln_pi.machine import best_threads  # noqa: E402
from litekiln_pi.model import Bundle  # noqa: E402
from litekiln_pi.pace import Pace  # noqa: E402
from litekiln_pi.pipeline import Pipeline  # noqa: E402
from litekiln_pi.server import Settings, serve  # noqa: E402

PORT, WARM_UP = 18_478, 2.0
SHOWN_GOAL, LATENCY_GOAL, REST_GOAL = 0.95, 1.2, 0.02
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
    pipeline = Pipeline(bundle.open(threads or best_threads(bundle)), Camera(clip(), rate), pace=Pace(rests=True))
    serve(pipeline, bundle, Settings(host="127.0.0.1", port=PORT))


@contextmanager
def server(folder: Path, rate: float, threads: int) -> Iterator[tuple[str, int]]:
    """A server's name for its model and its process, while it runs. Nobody has asked it for frames yet."""
    argv = [sys.executable, __file__, "--serve", "--bundle", str(folder), "--rate", str(rate), "--threads", str(threads)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
        try:
            name = ""
            for _ in range(300):
                try:
                    name = str(state()["model"])
                    break
                except OSError:
                    time.sleep(0.1)
            yield name, process.pid
        finally:
            process.terminate()


def unwatched(pid: int, seconds: float) -> float:
    """The share of a core that the server takes while nobody watches."""
    time.sleep(WARM_UP)
    before = computed(pid)
    time.sleep(seconds)
    return (computed(pid) - before) / seconds


def computed(pid: int) -> float:
    """The seconds of a processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def state() -> dict[str, object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/state", timeout=10) as answer:
        told: dict[str, object] = json.load(answer)
    return told


def inferred() -> int:
    return int(str(state()["looked_at"]))


@dataclass
class Got:
    """The frames that a viewer got, those that were inferred meanwhile, and for each of the former what it took (ms)."""

    shown: int
    inferred: int
    latency: list[float] = field(default_factory=list)
    inference: list[float] = field(default_factory=list)

    def told(self, seconds: float) -> str:
        share = self.shown / self.inferred
        text = f"{self.shown / seconds:.1f} of {self.inferred / seconds:.1f} frames a second shown, shown/inferred {share:.3f}"
        text += f", >= {SHOWN_GOAL}: {verdict(share >= SHOWN_GOAL)}"
        if not self.latency:
            return text
        latency, inference = statistics.median(self.latency), statistics.median(self.inference)
        text += f"; latency {latency:.1f} ms, inference {inference:.1f}, latency/inference {latency / inference:.2f}"
        return f"{text}, <= {LATENCY_GOAL}: {verdict(latency <= LATENCY_GOAL * inference)}"


def verdict(met: bool) -> str:
    return "yes" if met else "NO"


def over_http(seconds: float) -> Got:
    """What a program gets."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    number, latency, inference = -1, [], []
    warm, end, before = time.monotonic() + WARM_UP, time.monotonic() + WARM_UP + seconds, 0
    while time.monotonic() < end:
        connection.request("GET", f"/api/frame?after={number}&threshold=0")
        answer = connection.getresponse()
        answer.read()
        seen = json.loads(answer.headers["x-litekiln-frame"])
        number = seen["frame"]
        if time.monotonic() < warm:
            before = inferred()
            continue
        latency.append(seen["milliseconds"]["latency"])
        inference.append(seen["milliseconds"]["inference"])
    return Got(len(latency), inferred() - before, latency, inference)


def in_chromium(seconds: float) -> Got | None:
    """What the page draws; None without Chromium."""
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
        return Got(page.evaluate("drawn") - drawn, inferred() - before)


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
        with server(folder, options.rate, options.threads) as (name, pid):
            rest = unwatched(pid, options.seconds)
            print(f"{name}  nobody: {rest:.1%} of a core, <= {REST_GOAL:.0%}: {verdict(rest <= REST_GOAL)}", flush=True)
            for way, got in (("HTTP", over_http(options.seconds)), ("Chromium", in_chromium(options.seconds))):
                said = got.told(options.seconds) if got else "not measured, Chromium or playwright is missing"
                print(f"{name}  {way}: {said}", flush=True)


if __name__ == "__main__":
    main()
