"""What a recipe's [input] says about a picture, for sources that don't say it themselves."""

from __future__ import annotations

from typing import Any


def contract(args: dict[str, Any]) -> dict[str, Any]:
    """The part of a contract that is about pixels."""
    low, high = ([(pixel - mean) / std for mean, std in zip(args["mean"], args["std"])] for pixel in (0.0, 255.0))
    return {
        "mean": args["mean"],
        "std": args["std"],
        "pixels": "told",
        "range": [min(low + high), max(low + high)],
        "resize": args["resize"],
        "padding": [0.0, 0.0, 0.0] if args["resize"] == "letterbox" else [],
    }
