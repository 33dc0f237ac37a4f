"""Compare the Pi's loop with bare inference and with the loop of most examples: time per frame, in one run on this machine.

    .litekiln/host/bin/python bench/runtime.py [--bundle DIR]… [--seconds N] [--threads N]

All three use one clip of 640x480 JPEG frames. Each is measured several times in turn; the median of the rounds counts:

    bare     the interpreter's invoke() alone, on a prepared frame
    loop     litekiln_pi: capture, decoding and inference overlap; boxes mapped back to the picture
    common   one after the other: decode, resize to the network's size, invoke, resize for the screen, draw

Goals: loop takes at most 1.10 times as long as bare; loop handles at least 1.5 times as many frames as common. A bundle is a folder
that `inv build` made; the default is the demo's int8. The table says whether each goal is met; the exit code is 0 either way.

Bare needs one core, loop a second one, on which it prepares the next frame. So one other program that computes doubles loop / bare
and leaves bare as it is. `others` says which share of all cores other programs took meanwhile (on Linux): above 5 % the machine is
too busy for the ratios. `CPU` is the computing time that loop takes for a frame on all cores, which depends on other programs much
less: compare versions of the loop by it.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pi"), str(ROOT / "steps")]

from io import BytesIO  # noqa: E402

import numpy  # noqa: E402
from detection import pictures  # noqa: E402
from PIL import Image  # noqa: E402

from litekiln_pi.frames import Newest, Seen, Shot  # noqa: E402
from litekiln_pi.machine import best_threads  # noqa: E402
from litekiln_pi.model import Bundle, Model  # noqa: E402
from litekiln_pi.pipeline import Pipeline  # noqa: E402
from litekiln_pi.sources import open_source  # noqa: E402
from litekiln_pi.stills import as_jpeg, draw  # noqa: E402

FRAMES, SIZE, ROUNDS = 60, (640, 480), 5
BARE_GOAL, COMMON_GOAL = 1.10, 1.5
QUIET = 0.05  # of all cores, for other programs


def clip() -> list[bytes]:
    """Frames of the test picture, as a camera's JPEGs."""
    source, frames = open_source("test", width=SIZE[0], height=SIZE[1]), []
    for shot in source.shots():
        frames.append(shot.jpeg or as_jpeg(shot.picture, 85))
        if len(frames) == FRAMES:
            source.stop()
            break
    return frames


class Clip:
    """A live source that never makes the loop wait: the next frame is there whenever the loop can take one."""

    name, live = "clip", True

    def __init__(self, frames: list[bytes]) -> None:
        self._frames, self._stopped = frames, False
        self.place: Newest[object] | None = None

    def shots(self) -> Iterator[Shot]:
        count = 0
        while not self._stopped and self.place and self.place.wait_until_free():
            yield Shot(jpeg=self._frames[count % len(self._frames)])
            count += 1

    def stop(self) -> None:
        self._stopped = True


def bare(model: Model, frames: list[bytes], seconds: float) -> float:
    """Seconds per frame."""
    interpreter = model._detector._interpreter
    model.run(model.prepare(Image.open(BytesIO(frames[0]))))
    return _repeat(lambda _: interpreter.invoke(), seconds)


def common(model: Model, bundle: Bundle, frames: list[bytes], seconds: float) -> float:
    contract = bundle.contract

    def once(count: int) -> None:
        picture = Image.open(BytesIO(frames[count % len(frames)])).convert("RGB")
        small = picture.resize(model.size, Image.Resampling.BILINEAR)
        batch = model._detector.typed(pictures.normalise(numpy.asarray(small, numpy.float32), contract))
        found = model.run((batch, (1.0, 1.0)))
        screen = picture.resize(SIZE, Image.Resampling.BILINEAR, box=(1, 1, SIZE[0] - 1, SIZE[1] - 1))
        draw(screen, Seen(count, 0.0, Shot(), *SIZE, model.detections(found, *SIZE, 0.4), {}))

    return _repeat(once, seconds)


def loop(model: Model, frames: list[bytes], seconds: float) -> tuple[float, float]:
    """Seconds per frame, and the computing time in them."""
    source = Clip(frames)
    pipeline = Pipeline(model, source)
    source.place = pipeline._came  # type: ignore[assignment]
    pipeline.start()
    time.sleep(seconds / 5)
    before, started, computed = pipeline.counters.looked_at, time.perf_counter(), time.process_time()
    time.sleep(seconds)
    count, took = pipeline.counters.looked_at - before, time.perf_counter() - started
    computed = time.process_time() - computed
    pipeline.stop()
    pipeline.join(10)
    return took / count, computed / count


def _repeat(once: Callable[[int], object], seconds: float) -> float:
    for count in range(3):
        once(count)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        once(count)
        count += 1
    return (time.perf_counter() - started) / count


@dataclass(frozen=True)
class Row:
    name: str
    threads: int
    others: float
    bare: float
    loop: float
    computed: float
    common: float

    def cells(self) -> tuple[str, ...]:
        first, second = self.loop / self.bare, self.common / self.loop
        shown = [f"{value * 1000:.2f} ms" for value in (self.bare, self.loop, self.computed, self.common)]
        busy = "busy" if self.others > QUIET else ""
        verdicts = busy or ("yes" if first <= BARE_GOAL else "NO"), busy or ("yes" if second >= COMMON_GOAL else "NO")
        ratios = f"{first:.3f}", verdicts[0], f"{second:.2f}", verdicts[1]
        return self.name, str(self.threads), f"{self.others:.0%}", *shown, *ratios


GOALS = "loop/bare", f"<= {BARE_GOAL}", "common/loop", f">= {COMMON_GOAL}"
HEADS = ("model", "threads", "others", "bare", "loop", "CPU", "common", *GOALS)


def measure(folder: Path, frames: list[bytes], seconds: float, threads: int) -> Row:
    bundle = Bundle(folder)
    threads = threads or best_threads(bundle)
    model = bundle.open(threads)
    before = _computed()
    rounds = [
        (bare(model, frames, seconds), *loop(model, frames, seconds), common(model, bundle, frames, seconds)) for _ in range(ROUNDS)
    ]
    whole, others = (after - earlier for after, earlier in zip(_computed(), before, strict=True))
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return Row(bundle.name, threads, others / whole if whole else 0.0, *medians)


def _computed() -> tuple[float, float]:
    """Seconds of all cores so far, and those in which other programs computed; (0, 0) if the system doesn't say."""
    try:
        ticks = [int(each) for each in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    except OSError:
        return 0.0, 0.0
    whole, idle = (each / os.sysconf("SC_CLK_TCK") for each in (sum(ticks), ticks[3] + ticks[4]))
    return whole, whole - idle - time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, action="append", help="default: out/shapes/int8")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of each measurement in a round (default: 1)")
    parser.add_argument("--threads", type=int, default=0, help="default: measured at the start, as the image does")
    options = parser.parse_args()
    folders = options.bundle or [ROOT / "out" / "shapes" / "int8"]
    frames = clip()
    rows = [HEADS, *(measure(folder, frames, options.seconds, options.threads).cells() for folder in folders)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
    for row in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), flush=True)


if __name__ == "__main__":
    main()
