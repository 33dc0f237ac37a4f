"""Measure how long an up-to-date build takes, compared with what any command of invoke costs.

    .litekiln/host/bin/python bench/up_to_date.py

Prints the medians of an empty Python process, of `invoke --version`, and of `inv build` of an up-to-date model, with ratios. The
three take turns, since machines are shared and noisy.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 15
GOAL = 2.1  # times invoke alone
SHELL = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as users have it
BUILD = [sys.executable, "-m", "invoke", "build", "--model", "shapes"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "invoke --version": [sys.executable, "-m", "invoke", "--version"],
    "inv build, all up to date": BUILD,
}


def seconds(argv: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, cwd=ROOT, env=SHELL, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    print("making sure that the model is built ...")
    subprocess.run(BUILD, cwd=ROOT, env=SHELL, check=True, stdout=subprocess.DEVNULL)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, argv in COMMANDS.items():
            times[name].append(seconds(argv))
    alone = statistics.median(times["invoke --version"])
    print(f"median of {RUNS} runs")
    for name, each in times.items():
        median = statistics.median(each)
        print(f"  {name:<28}{median * 1000:7.0f} ms   {median / alone:5.2f} x invoke alone")
    ratio = statistics.median(times["inv build, all up to date"]) / alone
    print(f"goal: at most {GOAL} x invoke alone: {'met' if ratio <= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
