"""How long an up-to-date step takes in all, beside what any Python command costs.

    make bench

Prints, from the same run: an empty Python process, `invoke` that does nothing but list its tasks, and `inv build` of an
up-to-date model, with ratios. The medians of several runs, since machines are shared and noisy.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 9
BUILD = [sys.executable, "-m", "invoke", "build", "--model", "shapes"]


def median_seconds(argv: list[str]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    print("making sure that the model is built ...")
    subprocess.run(BUILD, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    empty = median_seconds([sys.executable, "-c", "pass"])
    listing = median_seconds([sys.executable, "-m", "invoke", "--version"])
    build = median_seconds(BUILD)
    print(f"median of {RUNS} runs")
    for name, seconds in (("python -c pass", empty), ("invoke --version", listing), ("inv build, all up to date", build)):
        print(f"  {name:<28}{seconds * 1000:7.0f} ms   {seconds / listing:5.2f} x invoke alone")
    print(f"goal: under 1 s in all: {'met' if build < 1 else 'MISSED'}")


if __name__ == "__main__":
    main()
