"""Step programs as an engine runs them, many in one process: try_steps.py STEPS CASES.json

Each case is a fork that has TensorFlow already: {"name", "program", "args", "inputs": {name: path}, "box": folder}. Prints for each
what it said last and what it left.
"""

import json
import os
import runpy
import sys
import traceback

import h5py  # noqa: F401
import tensorflow as tf  # noqa: F401


def run(steps, case):
    box = case["box"]
    for part in ("in", "out"):
        os.makedirs(os.path.join(box, part))
    for name, path in case["inputs"].items():
        os.symlink(path, os.path.join(box, "in", name))
    with open(os.path.join(box, "request.json"), "w") as stream:
        json.dump({"format": 1, "args": case["args"]}, stream)
    child = os.fork()
    if not child:
        log = os.open(os.path.join(box, "log.txt"), os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.chdir(box)
        sys.path[0] = steps
        code = 1
        try:
            runpy.run_path(os.path.join(steps, case["program"]), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with open(os.path.join(box, "log.txt"), errors="replace") as stream:
        lines = stream.read().splitlines()
    refused = [line[len("@refused ") :] for line in lines if line.startswith("@refused ")]
    result = os.path.join(box, "out", "result.json")
    return {
        "code": code,
        "refused": refused[0] if refused else "",
        "tail": lines[-15:],
        "result": json.load(open(result)) if os.path.exists(result) else None,
    }


print(json.dumps({case["name"]: run(sys.argv[1], case) for case in json.load(open(sys.argv[2]))}))
