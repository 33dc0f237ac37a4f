"""How long a frame takes on this machine, by number of threads: for people, and as a document that `inv report` reads.

Numbers of threads take turns, in rounds and in changing order, so that a machine that gets warm slows all of them down alike.
Each turn opens the model anew, which needs no more memory than `serve`.
"""

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import ai_edge_litert
from PIL import Image

from litekiln_pi import device, machine
from litekiln_pi.decoding import decode
from litekiln_pi.doubts import doubts
from litekiln_pi.errors import BadBundle, SelftestFailed
from litekiln_pi.model import Bundle, Model
from litekiln_pi.saying import Say
from litekiln_pi.selftest import RECORD, selftest
from litekiln_pi.stills import as_jpeg

FORMAT = 1
ROUNDS = 5
WARM_UP, LEAST_RUNS = 3, 3  # of each turn; the first run prepares the operators
FRAME, QUALITY = (640, 480), 85  # as most cameras send them
THRESHOLD = 0.4
PARTS = ("preparation", "inference", "frame")
Sample = tuple[float, float, float]  # milliseconds of the parts
Clock = Callable[[], float]


class Bench:
    """A measurement. It can be stopped at any time: `document` then has the rounds that were finished."""

    def __init__(self, bundle: Bundle, seconds: float, say: Say, clock: Clock = time.perf_counter) -> None:
        self._bundle, self._seconds, self._say, self._clock = bundle, seconds, say, clock
        self.counts = list(range(1, min(machine.cores(), machine.MOST_THREADS) + 1))
        self._rounds: list[dict[int, list[Sample]]] = []
        self._device = device.device()
        self._load = device.load()
        self._heat = [machine.temperature()]
        self._slowed = [machine.throttling()]
        self._clocks: list[int] = []
        self._selftest = {"ok": True, "said": ""}
        self._took = 0.0

    @property
    def measured(self) -> bool:
        """Whether a round is finished."""
        return bool(self._rounds)

    def run(self) -> None:
        self._selftest = _selftest(self._bundle)
        jpeg = camera_frame(self._bundle)
        shown = ", ".join(map(str, self.counts))
        took = f"{self._seconds * len(self.counts):.0f} s"
        self._say(f"measuring {self._bundle.name} with {shown} threads, {took}; Ctrl-C ends it with what was measured so far")
        started = self._clock()
        for number in range(ROUNDS):
            order = self.counts if number % 2 == 0 else self.counts[::-1]
            self._rounds.append({count: self._turn(count, jpeg) for count in order})
            self._heat.append(machine.temperature())
            self._slowed.append(machine.throttling())
            self._took = self._clock() - started

    def _turn(self, count: int, jpeg: bytes) -> list[Sample]:
        model = self._bundle.open(count)
        for _ in range(WARM_UP):
            self._look(model, jpeg)
        end, samples = self._clock() + self._seconds / ROUNDS, list[Sample]()
        while len(samples) < LEAST_RUNS or self._clock() < end:
            samples.append(self._look(model, jpeg))
        if (now := device.clock()) is not None:
            self._clocks.append(now)
        return samples

    def _look(self, model: Model, jpeg: bytes) -> Sample:
        """A frame's whole way, as in the camera's loop, one part after the other."""
        started = self._clock()
        prepared = model.prepare_quickly(decode(jpeg, model.size).picture)
        ready = self._clock()
        model.compute(prepared)
        computed = self._clock()
        model.detections(model.read(prepared), *FRAME, THRESHOLD)
        ended = self._clock()
        return (ready - started) * 1000, (computed - ready) * 1000, (ended - started) * 1000

    def document(self) -> dict[str, Any]:
        """What docs/device.schema.json describes."""
        manifest, heat = self._bundle.manifest, [each for each in self._heat if each is not None]
        content = (self._bundle.folder / "detect.tflite").read_bytes()
        told = {
            "device_figures": FORMAT,
            "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "model": manifest["model"],
            "variant": manifest["variant"],
            "file": {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)},
            "litekiln": manifest["litekiln"],
            "runtime": f"ai-edge-litert {ai_edge_litert.__version__}",
            "device": self._device,
            "conditions": {
                "load_before": self._load,
                "temperature": {"before": heat[0], "after": heat[-1], "highest": max(heat)} if heat else None,
                "throttling": _throttling(self._slowed),
                "megahertz_seen": {"min": min(self._clocks), "max": max(self._clocks)} if self._clocks else None,
            },
            "selftest": self._selftest,
            "complete": len(self._rounds) == ROUNDS,
            "rounds": len(self._rounds),
            "seconds": round(self._took, 1),
            "picture": {"width": FRAME[0], "height": FRAME[1]},
            "threads": [self._times(count) for count in self.counts],
        }
        return {**told, "doubts": doubts(told)}

    def _times(self, count: int) -> dict[str, Any]:
        rounds = [each[count] for each in self._rounds]
        parts = {part: _figures([[sample[place] for sample in each] for each in rounds]) for place, part in enumerate(PARTS)}
        return {"threads": count, "runs": sum(map(len, rounds)), **parts}


def _figures(rounds: list[list[float]]) -> dict[str, Any]:
    """Milliseconds. The medians of the rounds show how sure the median of all is."""
    every = sorted(value for each in rounds for value in each)
    return {
        "median": round(statistics.median(every), 3),
        "p95": round(every[int(len(every) * 0.95)], 3),
        "min": round(every[0], 3),
        "rounds": [round(statistics.median(each), 3) for each in rounds],
    }


def _throttling(told: list[list[str] | None]) -> dict[str, list[str]] | None:
    """What had slowed the Pi down before, and what did meanwhile."""
    before = told[0]
    if before is None:
        return None
    later = [words for each in told[1:] for words in each or []]
    during = [words for words in dict.fromkeys(later) if words in machine.SLOWED_NOW or words not in before]
    return {"before": before, "during": during}


def _selftest(bundle: Bundle) -> dict[str, Any]:
    """Whether this machine computes what was verified: times of one that doesn't are worth nothing."""
    try:
        selftest(bundle)
    except SelftestFailed as error:
        return {"ok": False, "said": str(error)}
    return {"ok": True, "said": ""}


def camera_frame(bundle: Bundle) -> bytes:
    """The selftest's picture as a camera would send it."""
    try:
        record = json.loads((bundle.folder / RECORD).read_text(encoding="utf-8"))
        picture = decode((bundle.folder / record["picture"]).read_bytes()).picture
    except (OSError, ValueError, KeyError) as error:
        msg = f"the bundle has no picture to measure with: {error}"
        raise BadBundle(msg, "build the model again with this version: inv build") from None
    return as_jpeg(picture.resize(FRAME, Image.Resampling.BILINEAR), QUALITY)


def in_words(told: dict[str, Any]) -> str:
    """The document for people: a table, and what to keep in mind."""
    about, conditions, unknown = told["device"], told["conditions"], "unknown on this machine"
    name = about["board"] if about["board"] != about["architecture"] else about["processor"] or about["board"]
    rows: list[tuple[str, ...]] = [("threads", "inference", "p95", "min", "a frame", "p95", "min", "runs")]
    for each in told["threads"]:
        times = [f"{each[part][of]:.1f} ms" for part in ("inference", "frame") for of in ("median", "p95", "min")]
        rows.append((str(each["threads"]), *times, str(each["runs"])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    clocks, heat, slowed = about["megahertz"], conditions["temperature"], conditions["throttling"]
    span = f", {clocks['min']} to {clocks['max']} MHz" if clocks["min"] and clocks["max"] else ""
    warmth = f"{heat['before']:.0f} °C before, {heat['after']:.0f} °C after" if heat else unknown
    lines = [
        f"{told['model']} {told['variant']} ({told['file']['sha256'][:12]}) on {name}, {about['cores']} cores, {about['kind']}",
        *("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows),
        f"a frame: a JPEG of {told['picture']['width']}x{told['picture']['height']} is decoded, prepared, run and read",
        f"governor: {about['governor'] or unknown}{span}",
        f"temperature: {warmth}",
        f"throttling: {unknown if slowed is None else '; '.join(slowed['during']) or 'none meanwhile'}",
        f"selftest: {'ok' if told['selftest']['ok'] else 'FAILED'}",
        *(f"! {each}" for each in told["doubts"]),
    ]
    return "\n".join(lines)
