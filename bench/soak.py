"""Run the server at full speed for a long time: its memory must stay flat, and its loop must go on.

    .litekiln/host/bin/python bench/soak.py [--bundle DIR] [--seconds N]

`litekiln_pi serve` runs in its own process and gets up to a thousand JPEG frames a second on standard input, far more than the
network can take; one in fifty is damaged.
Meanwhile a page asks for frames, and about once a second a picture is sent to /api/detect. Once a second the script reads the
server's memory and the number of frames it looked at. The exit code is 1 when the memory of the last quarter is more than 5 % above
that of the first quarter after the start, when the loop stood still, or when one of these never happened: the page got a frame, a
picture was looked at, a damaged frame was noticed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "pi"), str(ROOT / "steps")]

from runtime import clip  # noqa: E402 - the paths above come first

PORT = 18_477
BASELINE, LOSSLESS = b"\xff\xc0", b"\xff\xc3"  # markers of JPEG frames; no decoder here knows the second
ALLOWED, DAMAGED, WARM_UP = 1.05, 50, 0.15
STANDSTILL = 10  # samples without a new frame
PAUSE = 0.001  # seconds between frames: without it, one processor would do nothing but fill the pipe


def feed(process: "subprocess.Popen[bytes]", frames: list[bytes]) -> None:
    """Send frames until the pipe breaks."""
    assert process.stdin
    count = 0
    try:
        while True:
            frame = frames[count % len(frames)]
            process.stdin.write(frame.replace(BASELINE, LOSSLESS, 1) if count % DAMAGED == 0 else frame)
            count += 1
            time.sleep(PAUSE)
    except (BrokenPipeError, ValueError):
        pass


class Answers:
    """Counts what the page received."""

    frames = detections = 0


def look(picture: bytes, ending: threading.Event, answers: Answers) -> None:
    """Act as a page that gets every frame it can, and sends a picture every second."""
    after, sent = 0, time.monotonic()
    while not ending.is_set():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/frame?after={after}", timeout=20) as answer:
                answer.read()
                after = ask("/api/state")["frame"]
                answers.frames += 1
            if time.monotonic() - sent > 1:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{PORT}/api/detect", data=picture, headers={"Content-Type": "image/jpeg"}
                )
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answers.detections += len(json.load(answer)["detections"])
                sent = time.monotonic()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


def ask(path: str) -> dict:  # type: ignore[type-arg]
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=20) as answer:
        return json.load(answer)


def resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def watch(process: "subprocess.Popen[bytes]", seconds: float) -> tuple[list[int], list[int]]:
    """The memory and the number of frames, for each second."""
    memory, frames, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1)
        if process.poll() is not None:
            sys.exit(f"the server ended, exit code {process.returncode}")
        memory.append(resident(process.pid))
        frames.append(int(ask("/api/state")["looked_at"]))
        if len(frames) > STANDSTILL and frames[-1] == frames[-STANDSTILL]:
            sys.exit(f"the loop stood still for {STANDSTILL} s at frame {frames[-1]}: {ask('/healthz')}")
        if len(frames) % 60 == 0:
            print(f"{len(frames)} s: {memory[-1] / 1e6:.1f} MB, {frames[-1]} frames", flush=True)
    return memory, frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "out" / "shapes" / "int8")
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    frames = clip()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "pi"), str(ROOT / "steps"))),
        "LITEKILN_BUNDLE": str(options.bundle),
    }
    argv = [
        sys.executable,
        "-m",
        "litekiln_pi",
        "serve",
        "--source",
        "-",
        "--threads",
        "1",
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
    ]
    ending, answers = threading.Event(), Answers()
    with subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            for target, given in ((feed, (process, frames)), (look, (frames[0], ending, answers))):
                threading.Thread(target=target, args=given, daemon=True).start()
            for _ in range(100):
                time.sleep(0.2)
                try:
                    ask("/healthz")
                    break
                except OSError:
                    continue
            memory, counted = watch(process, options.seconds)
            state = ask("/api/state")
        finally:
            ending.set()
            process.terminate()
            with suppress(BrokenPipeError):  # unwritten frames are no longer needed
                process.stdin.close()  # type: ignore[union-attr]
    rest = memory[int(len(memory) * WARM_UP) :]
    quarter = max(1, len(rest) // 4)
    first, last = statistics.median(rest[:quarter]), statistics.median(rest[-quarter:])
    print(
        f"{counted[-1]} frames looked at in {len(memory)} s, {state['dropped']} dropped for newer ones, {state['damaged']} damaged"
    )
    print(f"memory: {first / 1e6:.1f} MB, at the end {last / 1e6:.1f} MB, ratio {last / first:.3f}, allowed {ALLOWED}")
    print(f"{answers.frames} frames for the page, {answers.detections} detections in pictures that it sent")
    happened = answers.frames and answers.detections and state["damaged"]
    sys.exit(0 if happened and last / first <= ALLOWED else 1)


if __name__ == "__main__":
    main()
