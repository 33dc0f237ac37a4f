"""What Ultralytics writes into its exports: the network's name, task, picture size and class names, as text packed into the file.

Today it is `metadata.json`; older versions pack the same as a Python dictionary, `temp_meta.txt` or `meta.txt`.
"""

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

FILES = ("metadata.json", "temp_meta.txt", "meta.txt")
MODEL = re.compile(r"YOLO[\w.-]*|RTDETR[\w.-]*|RT-DETR[\w.-]*|FastSAM[\w.-]*", re.IGNORECASE)
MOST_NAMES = 100_000
# What the parsers raise for texts of other kinds, and for ones that nest too deeply.
UNREADABLE = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


@dataclass(frozen=True)
class Ultralytics:
    """`names` are in the order of class numbers. `model` is like YOLOv8n; empty where the file doesn't say."""

    model: str
    task: str
    size: tuple[int, int] | None
    names: list[str]


def read_ultralytics(text: str) -> Ultralytics | None:
    """What the text says; None if it is no text of theirs."""
    value = _parsed(text)
    names = _names(value.get("names"))
    if names is None or not {"task", "stride"} & set(value):
        return None
    found = MODEL.search(str(value.get("description", ""))[:200])
    size = value.get("imgsz")
    height_and_width = isinstance(size, list) and len(size) == 2 and all(isinstance(each, int) for each in size)
    return Ultralytics(
        model=found[0] if found else "",
        task=str(value.get("task", "detect")),
        size=(size[0], size[1]) if isinstance(size, list) and height_and_width else None,
        names=names,
    )


def _parsed(text: str) -> dict[Any, Any]:
    if text[:1] != "{":
        return {}
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except UNREADABLE:
            continue
        if isinstance(value, dict):
            return value
    return {}


def _names(value: object) -> list[str] | None:
    """The names in the order of their numbers; None if they are no names, or some numbers are missing."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not 0 < len(value) <= MOST_NAMES:
        return None
    by_number = {str(key): str(name) for key, name in value.items()}
    names = [by_number.get(str(number)) for number in range(len(by_number))]
    return [name for name in names if name is not None] if None not in names else None
