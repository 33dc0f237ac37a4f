"""The model's description: its source, its input and its measured accuracy."""

from typing import Any

from litekiln_pi.model import Bundle

TOLD = ("width", "height", "resize", "range", "mean", "std", "padding", "max_detections")


def about(bundle: Bundle) -> dict[str, Any]:
    """The parts of report and manifest that describe the model, for programs."""
    report, manifest = bundle.report, bundle.manifest
    steps = [{name: each[name] for name in ("id", "key", "toolchain")} for each in manifest["steps"]]
    return {
        "model": manifest["model"],
        "variant": manifest["variant"],
        "litekiln": manifest["litekiln"],
        "verdict": report["verdict"],
        "warnings": report["warnings"],
        "source": report["source"],
        "contract": {name: bundle.contract[name] for name in TOLD if name in bundle.contract},
        "labels": bundle.names,
        "accuracy": report.get("accuracy") or {},
        "agreement": report.get("agreement") or {},
        "files": manifest["files"],
        "steps": steps,
        "bundle": str(bundle.folder),
    }


def in_words(facts: dict[str, Any]) -> str:
    """The same for people, in a few lines."""
    contract, source = facts["contract"], facts["source"]
    lines = [
        f"{facts['model']}, variant {facts['variant']}, made by litekiln {facts['litekiln']}",
        f"verdict   {facts['verdict']}{''.join(f'; {each}' for each in facts['warnings'])}",
        f"input     {contract['width']}x{contract['height']}, {contract['resize']}, pixels become {_range(contract)}",
        f"labels    {', '.join(facts['labels'])}",
        f"source    licence {source.get('license') or 'unknown'}{_address(source)}",
        f"sha256    {facts['files'].get('detect.tflite', 'unknown')}",
    ]
    accuracy = facts["accuracy"]
    if accuracy:
        lines.insert(2, f"accuracy  mAP {accuracy['map']:.3f} on {accuracy['protocol']['pictures']} pictures")
    lines.append(f"bundle    {facts['bundle']}: it contains the whole report, report.html (docker cp copies it out)")
    return "\n".join(lines)


def _range(contract: dict[str, Any]) -> str:
    low, high = contract["range"]
    return f"{low:g} to {high:g}"


def _address(source: dict[str, Any]) -> str:
    return f", {source['url']}" if source.get("url") else ""
