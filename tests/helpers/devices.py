"""Figures of a made-up Raspberry Pi 4 with 4 cores, as `bench --json` writes them, valid by docs/device.schema.json."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema

from litekiln.hashing import sha256_bytes
from tests.helpers.reports import ROOT, model_bytes

SCHEMA = json.loads((ROOT / "docs" / "device.schema.json").read_text(encoding="utf-8"))
SPEEDUP = {1: 1.0, 2: 0.6, 3: 0.45, 4: 0.448}  # the fourth thread is no faster beyond the spread
SPREAD = (0.99, 1.0, 1.0, 1.0, 1.01)
MILLISECONDS = {
    "float32": 128.0,
    "float16": 128.5,
    "dynamic": 92.0,
    "int8": 81.0,
    "int8-io": 80.6,
    "int8-raw": 80.9,
    "int16x8": 640.0,
}
PREPARATION = 3.0


def figures(variant: str = "int8", *, model: str = "shapes", **changed: Any) -> dict[str, Any]:
    """A document. `changed` replaces parts of it; a part with dots in its name is found by __."""
    told: dict[str, Any] = {
        "device_figures": 1,
        "measured_at": "2026-05-04T10:20:30Z",
        "model": model,
        "variant": variant,
        "file": {"sha256": sha256_bytes(model_bytes(variant)), "size": 1000},
        "litekiln": "0.1.0",
        "runtime": "ai-edge-litert 2.1.6",
        "device": {
            "board": "Raspberry Pi 4 Model B Rev 1.4",
            "kind": "hardware",
            "processor": "Cortex-A72",
            "cores": 4,
            "architecture": "aarch64",
            "memory": 3977478144,
            "system": {"os": None, "kernel": "Linux 6.6.31+rpt-rpi-v8", "in_container": True},
            "governor": "ondemand",
            "megahertz": {"min": 600, "max": 1800},
        },
        "conditions": {
            "load_before": 0.1,
            "temperature": {"before": 44.3, "after": 58.9, "highest": 58.9},
            "throttling": {"before": [], "during": []},
            "megahertz_seen": {"min": 1800, "max": 1800},
        },
        "selftest": {"ok": True, "said": ""},
        "complete": True,
        "rounds": 5,
        "seconds": 33.1,
        "picture": {"width": 640, "height": 480},
        "threads": [_timed(count, MILLISECONDS[variant] * share) for count, share in SPEEDUP.items()],
        "doubts": [],
    }
    for path, value in changed.items():
        put(told, path.replace("__", "."), value)
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    return told


def _timed(threads: int, inference: float) -> dict[str, Any]:
    parts = {"preparation": PREPARATION, "inference": inference, "frame": PREPARATION + inference}
    return {"threads": threads, "runs": 200, **{name: times(value) for name, value in parts.items()}}


def times(median: float, spread: tuple[float, ...] = SPREAD) -> dict[str, Any]:
    rounds = [round(median * each, 3) for each in spread]
    return {"median": round(median, 3), "p95": round(median * 1.1, 3), "min": round(median * 0.95, 3), "rounds": rounds}


def put(told: Any, path: str, value: Any) -> None:
    """Set the value at a path such as `threads.0.frame.min`."""
    *folders, last = path.split(".")
    for name in folders:
        told = told[int(name)] if isinstance(told, list) else told[name]
    told[int(last) if isinstance(told, list) else last] = value


def changed(path: str, value: Any) -> dict[str, Any]:
    """A document with another value at a path, valid or not."""
    told = copy.deepcopy(figures())
    put(told, path, value)
    return told


def write_figures(folder: Path, *documents: dict[str, Any]) -> list[str]:
    """Files of them, and their names."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{place}-{each['variant']}.json" for place, each in enumerate(documents)]
    for path, each in zip(paths, documents, strict=True):
        path.write_text(json.dumps(each), encoding="utf-8")
    return [str(path) for path in paths]
