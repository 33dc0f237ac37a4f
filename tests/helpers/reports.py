"""Sample reports and bundles of format 2: what tests need, without measurements. Each is valid by the schema."""

import copy
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import jsonschema

from litekiln.bundles.layout import MANIFEST_FORMAT
from litekiln.bundles.manifest import as_manifest
from litekiln.bundles.read import Built, as_report
from litekiln.hashing import sha256_bytes, sha256_file

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SIZES = {"float32": 2_705_513, "float16": 1_422_885, "dynamic": 896_961, "int8": 1_020_145, "int8-io": 1_020_169}
SIZES |= {"int8-raw": 992_617, "int16x8": 1_126_241}
MAPS = {"float32": 0.9233, "float16": 0.9232, "dynamic": 0.9224, "int8": 0.9185, "int8-io": 0.9185, "int8-raw": 0.9154}
MAPS |= {"int16x8": 0.9203}
TIMES = {"float32": 9.1, "float16": 9.2, "dynamic": 6.4, "int8": 4.3, "int8-io": 4.1, "int8-raw": 4.0, "int16x8": 31.5}
LOCK = "43ad262f543bf944d6fa24cae49ee2915894231564c16ab060146ecc99d296d4"
PICTURE = (32, 24)
LABELS = b"circle\nsquare\ntriangle\n"
HOSTILE = "<script>alert(1)</script>\"' onload=alert(1) x='"
FIRST = (
    "litekiln",
    "model",
    "variant",
    "verdict",
    "warnings",
    "source",
    "contract",
    "file",
    "conversion",
    "calibration",
    "accuracy",
)


def validated(report: dict[str, Any]) -> dict[str, Any]:
    """The report, if it is valid by docs/report.schema.json."""
    VALIDATOR.validate(report)
    return report


def sample(variant: str = "int8", *, model: str = "shapes", **sections: Any) -> dict[str, Any]:
    """A whole report, with some sections replaced. None removes a section."""
    report = {
        "format": 2,
        "litekiln": "0.1.0",
        "model": model,
        "variant": variant,
        "verdict": "ok",
        "warnings": [],
        **_made(variant),
        **_proven(variant),
        **_measured(variant),
        "agreement": {},
        "suspicion": {},
        "examples": [_example("00001.png", 0), _example("00002.png", 1)],
        "reproduce": f"inv build --model {model} --variant {variant}",
        **sections,
    }
    return validated({name: value for name, value in report.items() if value is not None})


def plain(variant: str = "float32", **sections: Any) -> dict[str, Any]:
    """A report without measurements, of a model whose outputs are plain tensors."""
    contract = {**_contract(), "outputs": "tensors", "classes": 0, "max_detections": 0, "names": ["net"]}
    nothing = {name: {} for name in ("calibration", "parity", "accuracy", "errors", "speed", "xnnpack", "edge_tpu")}
    return sample(variant, **{"contract": contract, "checks": [], "examples": [], **nothing, **sections})


def _contract() -> dict[str, Any]:
    return {
        "height": 160,
        "width": 160,
        "mean": [127.5, 127.5, 127.5],
        "std": [127.5, 127.5, 127.5],
        "range": [-1.0, 1.0],
        "resize": "stretch",
        "padding": [],
        "classes": 3,
        "max_detections": 10,
        "outputs": "postprocess",
        "postprocess": {"iou_threshold": 0.5, "score_threshold": 1e-08},
    }


def _made(variant: str) -> dict[str, Any]:
    tensor = {"type": "float32", "scale": None, "zero_point": None}
    outputs = {"boxes": [1, 10, 4], "classes": [1, 10], "scores": [1, 10], "count": [1]}
    integer = variant.startswith("int")
    channel = {"min": -1.0, "max": 1.0, "mean": -0.0231}
    lists = {name: [] for name in ("duplicates", "unreadable", "constant", "noise", "warnings")}
    calibration = {"count": 200, "seed": 0, "random": False, **lists}
    return {
        "source": {"license": "Apache-2.0", "weights": {"variables": 344, "values": 648568, "equal": True}, "overrides": {}},
        "contract": _contract(),
        "file": {
            "inputs": [{"name": "image", "shape": [1, 160, 160, 3], **tensor}],
            "outputs": [{"name": name, "shape": shape, **tensor} for name, shape in outputs.items()],
            "operators": {"ADD": 12, "CONV_2D": 61, "DEPTHWISE_CONV_2D": 40, "TFLite_Detection_PostProcess": 1},
            "size": SIZES[variant],
            "sha256": sha256_bytes(model_bytes(variant)),
        },
        "conversion": {
            "toolchain": "tf2.13",
            "tensorflow": "2.13.1",
            "attempts": [{"toolchain": "tf2.13", "outcome": "taken"}],
        },
        "calibration": {**calibration, "channels": [channel] * 3} if integer else {},
    }


def _proven(variant: str) -> dict[str, Any]:
    matched = {"source": 41, "matched": 41, "extra": 1, "share": 1.0, "iou": 0.99 if variant == "float32" else 0.5, "limit": 0.95}
    lost = round((MAPS["float32"] - MAPS[variant]) * 100, 2)
    limits = {"warn_points": 0.6, "limit_points": 1.5, "within_limit": True}
    protocol = {"pictures": 200, "height": 160, "width": 160, "resize": "stretch", "max_detections": 10}
    return {
        "checks": [
            check("one-postprocess", "exactly one PostProcess operator", "1", "1"),
            check("static-shapes", "every shape is fixed", "all 327", "all"),
            check("labels", "as many names as classes", "3", "3"),
        ],
        "parity": {
            "against": "the checkpoint's own model, run by the Object Detection API in tf2.13",
            "set": "shapes/eval",
            "pictures": 16,
            "raw_pictures": 16,
            "raw": [raw("box_encodings", 0.00002), raw("class_predictions", 0.00031)],
            "detections": {**matched, "score": 0.3, "score_difference": {"max": 0.021, "mean": 0.004}, "ok": True},
        },
        "accuracy": {
            "map": MAPS[variant],
            "map_50": 0.9967,
            "reference_map": MAPS["float32"],
            "drop_points": lost,
            **limits,
            "protocol": {**protocol, "score_threshold": 0.0, "tool": "pycocotools"},
            "per_class": {"circle": 0.931, "square": 0.924, "triangle": 0.9},
        },
    }


def check(name: str, what: str, found: str, expected: str, *, ok: bool = True) -> dict[str, Any]:
    return {"id": name, "what": what, "found": found, "expected": expected, "ok": ok}


def raw(name: str, relative: float, limit: float = 0.001) -> dict[str, Any]:
    largest = 4.2
    values = {"max": relative * largest, "mean": relative, "largest": largest, "relative": relative, "relative_mean": relative / 2}
    return {"name": name, **values, "limit": limit, "ok": relative <= limit}


def _measured(variant: str) -> dict[str, Any]:
    names = [f"ssd_mobile_net_v2_fpn/FeatureMaps/top_down/smoothing_{place}_depthwise_conv/Relu6" for place in range(1, 5)]
    tensors = [
        {"name": name, "operator": "CONV_2D", "snr_db": 11.2 + 2.4 * place, "type": "int8"} for place, name in enumerate(names)
    ]
    trials = [
        {"what": "int8 as it is", "share": 0.97, "detections": 60, "snr_db": 24.1},
        {"what": "the 2 operators that add most noise kept in float", "keep_float": names[:2], "share": 0.99, "snr_db": 29.5},
        {"what": "int16x8", "failed": "the converter refused it"},
    ]
    errors = {"pictures": 8, "tensors": tensors, "count": 118, "median_snr_db": 31.0, "trials": trials}
    one = TIMES[variant]
    operators = [{"name": "CONV_2D", "count": 61, "mapped": True, "why": ""}]
    operators.append({"name": "LOGISTIC", "count": 1, "mapped": False, "why": "its input is float32"})
    return {
        "errors": {**errors, "advice": "int8 is near enough: nothing to do."} if variant.startswith("int8") else {},
        "speed": {
            "machine": {"cpu": "A processor, 2.5 GHz", "processors": 2, "architecture": "x86_64"},
            "interpreter": "TensorFlow 2.13.1",
            "threads": [
                {"threads": 1, "median_ms": one, "fastest_ms": round(one * 0.96, 2), "runs": 50},
                {"threads": 2, "median_ms": round(one * 0.58, 2), "fastest_ms": round(one * 0.55, 2), "runs": 50},
            ],
            "note": "measured on this machine; a Raspberry Pi differs",
        },
        "xnnpack": {
            "delegated": 118,
            "operators": 121,
            "share": 0.975,
            "parts": 2,
            "left": {"TFLite_Detection_PostProcess": 1, "PACK": 2},
        },
        "edge_tpu": {
            "ready": False,
            "mapped": 61,
            "operators": operators,
            "parameters": 1_013_248,
            "fits_cache": True,
            "why": "its input and output are float32",
            "compiled": {},
        },
    }


SUSPICION = {"now": 0.68, "measure": "mAP", "tried": [{"what": "red and blue exchanged", "score": 0.91}], "likely": ""}


def agreement() -> dict[str, Any]:
    """What verify says where there is no evaluation set."""
    counted = {"detections": 310, "matched": 300, "extra": 2, "share": 0.9615, "iou": 0.5, "score": 0.3}
    apart = {"score_difference": {"max": 0.021, "mean": 0.004}}
    return {**counted, **apart, "with": "float32", "pictures": 128, "limit": 0.6, "ok": True}


def traced(median: float) -> dict[str, Any]:
    """Where an error comes from, as one variant has it."""
    return {**sample("int8")["errors"], "median_snr_db": median}


def _example(name: str, place: int) -> dict[str, Any]:
    """An example with two shapes; the file finds them slightly shifted, and a third one with a low score."""
    circle = {"box": [0.1, 0.1, 0.45, 0.4], "name": "circle", "class": 0, "score": 0.98}
    square = {"box": [0.5, 0.5, 0.9, 0.85], "name": "square", "class": 1, "score": 0.91}
    moved = {**circle, "box": [0.11, 0.1, 0.46, 0.41], "score": 0.97}
    doubtful = {"box": [0.05, 0.6, 0.3, 0.9], "name": "triangle", "class": 2, "score": 0.12}
    found = [moved, {**square, "score": 0.88}, doubtful]
    sizes = {"width": PICTURE[0], "height": PICTURE[1]}
    return {"name": name, "file": f"examples/{place}.png", **sizes, "source": [circle, square], "found": found}


def picture(shade: int, width: int = PICTURE[0], height: int = PICTURE[1]) -> bytes:
    """A PNG of one colour, without a library: the host has none for pictures."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\x00" + bytes((shade, 200, 255 - shade)) * width
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")


def model_bytes(variant: str) -> bytes:
    """What stands for a variant's file."""
    return b"\x00\x00\x00\x00TFL3" + variant.encode()


def manifest(report: dict[str, Any]) -> dict[str, Any]:
    source = {"checkpoint": {"path": "models/shapes/source/checkpoint", "step": "", "sha256": "74471add" * 8}}
    steps = [
        {"id": "export", "key": "ab" * 32, "program": "export_detection.py", "toolchain": "tf2.13", "args": {}, "inputs": source}
    ]
    return {
        "format": MANIFEST_FORMAT,
        "litekiln": "0.1.0",
        "model": report["model"],
        "variant": report["variant"],
        "files": {"detect.tflite": report["file"].get("sha256", ""), "labelmap.txt": sha256_bytes(LABELS)},
        "toolchains": {"tf2.13": {"lock_sha256": LOCK}},
        "steps": steps,
        "calibration": {},
        "made_by": {"export": {"engine": "venv", "image": ""}},
        "measured_here": {"report.json": sha256_bytes(json.dumps(report).encode())},
    }


def built(report: dict[str, Any], files: dict[str, Path] | None = None) -> Built:
    """A bundle as it is read: of a report and the manifest beside it."""
    told = as_manifest(manifest(report), shown_as="a manifest")
    return Built(as_report(report, shown_as="a report"), told, files or {})


def write_bundle(folder: Path, report: dict[str, Any]) -> Path:
    """A bundle's folder as after a build; its model is a few bytes."""
    (folder / "examples").mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest(report)), encoding="utf-8")
    (folder / "detect.tflite").write_bytes(model_bytes(report["variant"]))
    (folder / "labelmap.txt").write_bytes(LABELS)
    for place, _ in enumerate(report["examples"]):
        (folder / "examples" / f"{place}.png").write_bytes(picture(60 + 90 * (place % 3)))
    return seal(folder)


def seal(folder: Path, **changed: Any) -> Path:
    """The folder with a manifest of its files as they are now. `changed` replaces parts of the manifest."""
    value = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    hashes = {name: sha256_file(folder / name) for name in sorted(names)}
    timed = {name: hashes.pop(name) for name in ("report.json", "report.html") if name in names}
    value = {**value, "files": hashes, "measured_here": timed, **changed}
    (folder / "manifest.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def write_model(out: Path, *reports: dict[str, Any]) -> list[Path]:
    """out/<model>/ with a bundle for each report."""
    return [write_bundle(out / report["model"] / report["variant"], copy.deepcopy(report)) for report in reports]


def hostile() -> dict[str, Any]:
    """A report in which every text tries to break out of its place."""

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            keys_are_names = key in ("operators", "left", "per_class", "overrides")
            return {(HOSTILE + name if keys_are_names else name): spoil(each, name) for name, each in value.items()}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        fixed = ("verdict", "resize", "outputs", "file")
        return value + HOSTILE if isinstance(value, str) and key not in fixed else value

    suspicion = {"now": 0.6, "measure": "mAP", "tried": [{"what": "a", "score": 0.9}], "likely": "a"}
    return validated(spoil(sample(verdict="ok, with warnings", warnings=["a"], suspicion=suspicion)))


def first_format() -> dict[str, Any]:
    """A report of format 1, which litekiln wrote before it compared files with their source."""
    kept = {name: value for name, value in sample().items() if name in FIRST}
    described = {name: kept["file"][name] for name in ("inputs", "outputs", "operators")}
    accuracy = {name: value for name, value in kept["accuracy"].items() if name not in ("per_class", "warn_points")}
    seen = [{"name": "images/00000.png", "found": [{"name": "circle", "score": 0.992}]}]
    return {**kept, "format": 1, "file": described, "accuracy": {**accuracy, "warnings": []}, "example": seen}
