"""How long a model takes for one picture on this machine, by number of threads, and how much of it XNNPACK runs.

It runs alone: beside other work it would measure that. A Raspberry Pi has another processor, and other times.
"""

import os
import platform
import shutil
import subprocess
import tempfile
import time

import numpy
import protocol

import flat

WARM_UP, LEAST, MOST = 2, 7, 100  # runs
ENOUGH = 0.8  # seconds for each number of threads
THREADS = 4  # a Pi has four
COMPILER = "edgetpu_compiler"


def measure(args):
    path = os.path.join(protocol.input_path("bundle"), "detect.tflite")
    with open(path, "rb") as stream:
        operators = [name.decode() for name, _ in flat.operators(flat.read(bytearray(stream.read())))]
    interpreter = _interpreter(operators)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({1, *(count for count in (2, THREADS) if count <= processors), min(processors, THREADS)})
    timed = []
    for place, count in enumerate(counts):
        timed.append(dict(_time(interpreter, path, count), threads=count))
        protocol.progress(place + 1, len(counts), "numbers of threads")
    machine = {"cpu": _processor(), "processors": processors, "architecture": platform.machine()}
    return {
        "speed": {"machine": machine, "interpreter": "TensorFlow %s" % interpreter.version(), "threads": timed},
        "xnnpack": _delegated(interpreter, path, operators),
        "compiled": _compile(path) if args["edge_tpu"] else {},
    }


def _interpreter(operators):
    """Full TensorFlow's where the model has operators of it; else the interpreter alone."""
    if any(name.startswith("Flex") for name in operators):
        import tensorflow  # noqa: F401
    import interpreter

    return interpreter


def _model(interpreter, path, threads):
    model = interpreter.Interpreter(path, num_threads=threads)
    model.allocate_tensors()
    return model


def _time(interpreter, path, threads):
    model = _model(interpreter, path, threads)
    for entry in model.get_input_details():
        values = numpy.random.RandomState(0).uniform(size=entry["shape"])
        if entry["dtype"] != numpy.float32:
            values = values * 255 + numpy.iinfo(entry["dtype"]).min
        model.set_tensor(entry["index"], values.astype(entry["dtype"]))
    for _ in range(WARM_UP):
        model.invoke()
    seconds, began = [], time.perf_counter()
    while len(seconds) < LEAST or (len(seconds) < MOST and time.perf_counter() - began < ENOUGH):
        started = time.perf_counter()
        model.invoke()
        seconds.append(time.perf_counter() - started)
    return {
        "median_ms": round(float(numpy.median(seconds)) * 1000, 3),
        "fastest_ms": round(min(seconds) * 1000, 3),
        "runs": len(seconds),
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.partition(":")[2].strip() for line in stream if line.lower().startswith("model name")]
        return names[0] if names else platform.processor() or "unknown"
    except OSError:
        return platform.processor() or "unknown"


def _delegated(interpreter, path, operators):
    """What XNNPACK took over: operators that lie between what goes into its parts and what comes out of them."""
    plan = _model(interpreter, path, 1)._get_ops_details()
    parts = [each for each in plan if each["op_name"] == "DELEGATE"]
    nodes = [each for each in plan if each["op_name"] != "DELEGATE"][: len(operators)]
    maker = {int(tensor): place for place, node in enumerate(nodes) for tensor in node["outputs"]}
    taken = set()
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


def _compile(path):
    """By the Edge TPU's own compiler, where this system has it."""
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
