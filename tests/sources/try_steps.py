"""Step programs as an engine runs them, many in one process: try_steps.py STEPS CASES.json

Each case is a fork that has TensorFlow already: {"name", "program", "args", "inputs": {name: path}, "box": folder}. Prints for each
what it said last and what it left.
"""

import json
import os
import runpy
import sys
import traceback
from pathlib import Path

import h5py  # noqa: F401
import tensorflow as tf  # noqa: F401


def run(steps, case):
    box = Path(case["box"])
    for part in ("in", "out"):
        (box / part).mkdir(parents=True)
    for name, path in case["inputs"].items():
        (box / "in" / name).symlink_to(path)
    (box / "request.json").write_text(json.dumps({"format": 1, "args": case["args"]}))
    child = os.fork()
    if not child:
        os._exit(_run_here(steps / case["program"], box))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    lines = (box / "log.txt").read_text(errors="replace").splitlines()
    refused = [line[len("@refused ") :] for line in lines if line.startswith("@refused ")]
    result = box / "out" / "result.json"
    return {
        "code": code,
        "refused": refused[0] if refused else "",
        "tail": lines[-15:],
        "result": json.loads(result.read_text()) if result.exists() else None,
    }


def _run_here(program, box):
    log = os.open(box / "log.txt", os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.chdir(box)
    sys.path[0] = str(program.parent)
    try:
        runpy.run_path(str(program), run_name="__main__")
    except SystemExit as end:
        return end.code
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


cases = json.loads(Path(sys.argv[2]).read_text())
print(json.dumps({case["name"]: run(Path(sys.argv[1]), case) for case in cases}))
