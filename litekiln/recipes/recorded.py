"""`models/<name>/hashes.toml`: the sha256 of each file that the model gives. A build says whether it made these."""

import re
from collections.abc import Mapping
from pathlib import Path

from litekiln.disk import write_whole
from litekiln.toml_files import Table, load_table
from litekiln.variants import BY_NAME
from litekiln.wording import did_you_mean

NAME = "hashes.toml"
HEAD = """# The sha256 of each variant's detect.tflite, the same on every processor. `inv build` says whether it made these files.
# Written by `inv build --model {model} --record`.

[sha256]
"""
SHA256 = re.compile(r"[0-9a-f]{64}")


class _Recorded(Table, frozen=True, kw_only=True):
    sha256: dict[str, str]

    def __post_init__(self) -> None:
        for variant, value in self.sha256.items():
            if variant not in BY_NAME:
                msg = f"sha256.{variant}: unknown variant, {did_you_mean(variant, BY_NAME)}"
                raise ValueError(msg)
            if not SHA256.fullmatch(value):
                msg = f"sha256.{variant}: expected 64 hex digits, got {value!r}"
                raise ValueError(msg)


def recorded(folder: Path) -> dict[str, str]:
    """The hashes recorded beside a recipe, by variant; none if nothing was recorded."""
    path = folder / NAME
    return dict(load_table(path, _Recorded, shown_as=f"models/{folder.name}/{NAME}").sha256) if path.exists() else {}


def record(folder: Path, hashes: Mapping[str, str]) -> Path:
    """Record the hashes of variants beside a recipe. Those of other variants stay."""
    path, known = folder / NAME, {**recorded(folder), **hashes}
    lines = [f'{variant} = "{known[variant]}"\n' for variant in BY_NAME if variant in known]
    write_whole(path, (HEAD.format(model=folder.name) + "".join(lines)).encode())
    return path
