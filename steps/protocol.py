"""What every step program shares, and all it shares: the request it gets and the result it leaves.

A program starts in a folder of its own with `request.json`, its inputs under `in/<name>` and an empty `out/`. It leaves
files in `out/` and one `out/result.json`. Paths are relative, so that a step sees the same under every engine.
It runs without network.
"""

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys

FORMAT = 1


class Refused(Exception):
    """The step can't do what was asked, for a reason that its user can understand."""


def input_path(name):
    """Where an input lies."""
    return os.path.join("in", name)


def output_path(name):
    """Where a file of the output belongs."""
    return os.path.join("out", name)


def read_json(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, sort_keys=True)
        stream.write("\n")


def load_module(path, name):
    """A Python file given as an input, as a module."""
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, os.path.abspath(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def progress(done, total, what):
    """Tell the host how far a long step is. One line; the host draws it."""
    print("@progress %d/%d %s" % (done, total, what), flush=True)


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def main(step):
    """Run `step(args)`, a function that returns its result as a dictionary, under the protocol."""
    request = read_json("request.json")
    if request["format"] != FORMAT:
        sys.exit("request format %r, this program knows %r" % (request["format"], FORMAT))
    try:
        result = step(request["args"])
    except Refused as error:
        print("@refused %s" % error, flush=True)
        sys.exit(1)
    write_json(output_path("result.json"), dict(result, format=FORMAT))
