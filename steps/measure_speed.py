"""How long a model takes for one picture on this machine, by number of threads, and how much of it XNNPACK runs.

No other step runs at the same time, because it would change the times. A Raspberry Pi has another processor, and other times.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from typing import Any

import numpy
import protocol

from tflite_file import flat, interpreter

WARM_UP, LEAST, MOST = 2, 7, 100  # runs
ENOUGH = 0.4  # seconds for each number of threads
THREADS = 4  # as many as a Pi has processors
COMPILER = "edgetpu_compiler"


def measure(args: dict[str, Any]) -> dict[str, Any]:
    """Times by number of threads, what XNNPACK runs, and what the Edge TPU's compiler says where it was asked for."""
    path = os.path.join(protocol.input_path("bundle"), "detect.tflite")
    with open(path, "rb") as stream:
        operators = [name.decode() for name, _ in flat.operators(flat.read(bytearray(stream.read())))]
    full = any(name.startswith("Flex") for name in operators)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({1, *(count for count in (2, THREADS) if count <= processors), min(processors, THREADS)})
    timed = []
    for place, count in enumerate(counts):
        timed.append(dict(_time(path, count, full), threads=count))
        protocol.progress(place + 1, len(counts), "numbers of threads")
    machine = {"cpu": _processor(), "processors": processors, "architecture": platform.machine()}
    return {
        "speed": {"machine": machine, "interpreter": "TensorFlow %s" % interpreter.version(), "threads": timed},
        "xnnpack": _delegated(path, operators, full),
        "compiled": _compile(path) if args["edge_tpu"] else {},
    }


def _model(path: str, threads: int, full: bool) -> Any:
    """An interpreter of the model, ready to run."""
    model = interpreter.Interpreter(path, num_threads=threads, full=full)
    model.allocate_tensors()
    return model


def _time(path: str, threads: int, full: bool) -> dict[str, Any]:
    """Milliseconds of one run on noise, with so many threads."""
    model = _model(path, threads, full)
    for entry in model.get_input_details():
        values = numpy.random.RandomState(0).uniform(size=entry["shape"])
        if entry["dtype"] != numpy.float32:
            values = values * 255 + numpy.iinfo(entry["dtype"]).min
        model.set_tensor(entry["index"], values.astype(entry["dtype"]))
    for _ in range(WARM_UP):
        model.invoke()
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < LEAST or (len(seconds) < MOST and time.perf_counter() - began < ENOUGH):
        started = time.perf_counter()
        model.invoke()
        seconds.append(time.perf_counter() - started)
    return {
        "median_ms": round(float(numpy.median(seconds)) * 1000, 3),
        "fastest_ms": round(min(seconds) * 1000, 3),
        "runs": len(seconds),
    }


def _processor() -> str:
    """The name of this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.partition(":")[2].strip() for line in stream if line.lower().startswith("model name")]
        return names[0] if names else platform.processor() or "unknown"
    except OSError:
        return platform.processor() or "unknown"


def _delegated(path: str, operators: list[str], full: bool) -> dict[str, Any]:
    """What XNNPACK runs: the operators between the inputs of its parts and their outputs."""
    plan = _model(path, 1, full)._get_ops_details()
    parts = [each for each in plan if each["op_name"] == "DELEGATE"]
    nodes = [each for each in plan if each["op_name"] != "DELEGATE"][: len(operators)]
    maker = {int(tensor): place for place, node in enumerate(nodes) for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in parts:
        ends = {int(each) for each in part["inputs"]}
        waiting = [int(each) for each in part["outputs"]]
        while waiting:
            tensor = waiting.pop()
            place = maker.get(tensor)
            if tensor in ends or place is None or place in taken:
                continue
            taken.add(place)
            waiting += [int(each) for each in nodes[place]["inputs"]]
    left = [name for place, name in enumerate(operators) if place not in taken]
    return {
        "delegated": len(taken),
        "operators": len(operators),
        "share": round(len(taken) / max(1, len(operators)), 4),
        "parts": len(parts),
        "left": {name: left.count(name) for name in sorted(set(left))},
    }


def _compile(path: str) -> dict[str, Any]:
    """What the Edge TPU's own compiler says; nothing where this system doesn't have it."""
    if not shutil.which(COMPILER):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        argv = [COMPILER, "-s", "-o", folder, path]
        run = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603
        lines = [line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()]
        made = [name for name in os.listdir(folder) if name.endswith(".tflite")]
    return {"compiled": bool(made) and not run.returncode, "said": lines[-20:]}


if __name__ == "__main__":
    protocol.main(measure)
