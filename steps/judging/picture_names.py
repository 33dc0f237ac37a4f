"""Which pictures of a set a step looks at: all, or some of them, the same ones each time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import protocol

from detection import pictures

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")


def of(args: dict[str, Any], folder: str) -> list[str]:
    """The names of all pictures of a set, in its own order: from an evaluation set, from the recipe, or from the set's index."""
    if args.get("evaluation"):
        images = protocol.read_json(os.path.join(folder, "annotations.json"))["images"]
        return [path_of(image) for image in images]
    stated: list[str] = args.get("pictures") or listed(folder)
    return stated


def path_of(image: dict[str, Any]) -> str:
    """Where a picture of annotations.json is, below its set. A set from somebody else names no file of the user's."""
    name = str(image["file_name"])
    if os.path.isabs(name) or ".." in name.replace("\\", "/").split("/"):
        raise protocol.Refused("annotations.json names %r, which is not in images/" % name)
    return "images/" + name


def listed(folder: str) -> list[str]:
    """The pictures that a set's index lists, in its order."""
    names: list[str] = protocol.read_json(os.path.join(folder, "index.json"))["pictures"]
    return names


def spread(names: Sequence[T], most: int) -> list[T]:
    """At most so many of them, spread evenly."""
    if len(names) <= most:
        return list(names)
    return [names[place * len(names) // most] for place in range(most)]


def load(folder: str, names: Sequence[str], most: int) -> Iterator[tuple[str, Image.Image]]:
    """Names and pictures of at most so many of a set, without those that can't be read: the calibration reports these."""
    for name in spread(names, most):
        try:
            yield name, pictures.load(os.path.join(folder, name))
        except pictures.Unreadable:
            continue
