"""Paths that a recipe, a list or an archive names: one place that keeps them inside a folder.

A model's folder may come from anybody. What is moved or written stays inside one folder, without `..`. What a recipe or a picture
set only reads may be beside it, in another folder of models/ or calib/. Links are followed before a path is judged.
"""

import os
import re
from pathlib import Path, PurePosixPath

LONGEST_PATH = 1000  # bytes, with its folders
LONGEST_NAME = 255  # bytes, of a file or folder
ODD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def path_fault(name: str) -> str:
    """What is wrong with a path that must lead into a folder; "" if nothing."""
    if name.startswith("/"):
        return "an absolute path"
    if ".." in PurePosixPath(name).parts:
        return "a path that leaves its folder"
    return _name_fault(name)


def _name_fault(name: str) -> str:
    if ODD.search(name):
        return "a name that some systems do not accept"
    long = len(name.encode()) > LONGEST_PATH or any(len(part.encode()) > LONGEST_NAME for part in PurePosixPath(name).parts)
    return "a name that some systems do not accept" if long else ""


def inside(folder: Path, name: str) -> Path:
    """The path `name` below `folder`. ValueError if it is not inside it, also where a link leads out."""
    fault = path_fault(name) if name else "an empty path"
    path = folder / name
    if not fault and not is_within(path, folder):
        fault = "a path that leaves its folder by a link"
    if fault:
        msg = f"{name!r} is {fault}"
        raise ValueError(msg)
    return path


def beside(folder: Path, name: str, *, root: Path) -> Path:
    """The path `name` as it is written in `folder`, for reading. ValueError if it leads out of `root`."""
    fault = "an absolute path" if name.startswith("/") else _name_fault(name)
    path = folder / name
    if not fault and not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
        fault = f"a path that leaves {root.name}/"
    if not fault and not (is_within(path, root) or is_within(path, folder)):  # a model's folder may be a link to elsewhere
        fault = f"a path that leaves {root.name}/ by a link"
    if fault:
        msg = f"{name!r} is {fault}"
        raise ValueError(msg)
    return path


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path is below a folder once all links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
