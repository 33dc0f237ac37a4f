"""The model in words: what it was made from, what it wants, how good it was measured to be."""

from typing import Any

from litekiln_pi.model import Bundle

TOLD = ("width", "height", "resize", "range", "mean", "std", "padding", "max_detections")


def about(bundle: Bundle) -> dict[str, Any]:
    """For programs: the parts of report and manifest that say what this is."""
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


def in_words(told: dict[str, Any]) -> str:
    contract, source = told["contract"], told["source"]
    lines = [
        f"{told['model']}, variant {told['variant']}, made by litekiln {told['litekiln']}",
        f"verdict   {told['verdict']}{''.join(f'; {each}' for each in told['warnings'])}",
        f"input     {contract['width']}x{contract['height']}, {contract['resize']}, pixels become {_range(contract)}",
        f"sees      {', '.join(told['labels'])}",
        f"source    licence {source.get('license') or 'unknown'}{_address(source)}",
        f"sha256    {told['files'].get('detect.tflite', 'unknown')}",
    ]
    accuracy = told["accuracy"]
    if accuracy:
        lines.insert(2, f"accuracy  mAP {accuracy['map']:.3f} on {accuracy['protocol']['pictures']} pictures")
    lines.append(f"bundle    {told['bundle']}: report.html there is the whole report (docker cp copies it out)")
    return "\n".join(lines)


def _range(contract: dict[str, Any]) -> str:
    low, high = contract["range"]
    return f"{low:g} to {high:g}"


def _address(source: dict[str, Any]) -> str:
    return f", {source['url']}" if source.get("url") else ""
