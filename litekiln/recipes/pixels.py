"""The pixels that the network takes, (pixel - mean) / std, from a recipe or a command line."""

import math
from typing import Literal

from litekiln.errors import UsageError
from litekiln.toml_files import Table

CHANNELS = 3
LARGEST = 1e6


TELL_PIXELS = "[input] mean = 127.5, std = 127.5 for pixels from -1 to 1; 0 and 255 for 0 to 1; 0 and 1 for 0 to 255"


RESIZES = ("stretch", "letterbox")


HOW_TO_FIND_OUT = (
    "look at what the training did with pixels from 0 to 255 before the model got them. Divided by 127.5, minus 1: "
    "--mean 127.5 --std 127.5; divided by 255: --mean 0 --std 255; nothing, or the model's first layer does it: "
    "--mean 0 --std 1; ImageNet's means: --mean 123.675,116.28,103.53 --std 58.395,57.12,57.375"
)


class InputPixels(Table, frozen=True, kw_only=True):
    """The network takes (pixel - mean) / std of RGB pixels from 0 to 255. One number each, or one per channel."""

    mean: float | list[float]
    std: float | list[float]
    resize: Literal["stretch", "letterbox"] = "stretch"

    def __post_init__(self) -> None:
        key: Literal["mean", "std"]
        for key in ("mean", "std"):
            value = getattr(self, key)
            if isinstance(value, list) and len(value) != CHANNELS:
                msg = f"{key}: expected one number, or three: red, green, blue"
                raise ValueError(msg)
            if not all(abs(each) <= LARGEST for each in self.channels(key)):
                msg = f"{key}: expected numbers up to {LARGEST:g}, because pixels are from 0 to 255"
                raise ValueError(msg)
        if not all(each >= 1 / LARGEST for each in self.channels("std")):
            msg = f"std: must be {1 / LARGEST:g} or more, because pixels are divided by it"
            raise ValueError(msg)

    def channels(self, name: Literal["mean", "std"]) -> list[float]:
        value = getattr(self, name)
        return list(value) if isinstance(value, list) else [value] * CHANNELS


def read_pixels(mean: str, std: str, resize: str) -> InputPixels | None:
    if not mean and not std:
        if resize:
            msg = f"--resize {resize} without --mean and --std"
            raise UsageError(msg, remedy="give all three, or none if a pipeline.config says it")
        return None
    if not mean or not std:
        missing, given = ("--std", "--mean") if mean else ("--mean", "--std")
        msg = f"{given} without {missing}"
        raise UsageError(msg, cause="the network takes (pixel - mean) / std", remedy=HOW_TO_FIND_OUT)
    if resize not in ("", *RESIZES):
        msg = f"--resize {resize!r} is unknown"
        raise UsageError(msg, remedy=f"give --resize {' or '.join(RESIZES)}")
    try:
        pixels = InputPixels(mean=_numbers("--mean", mean), std=_numbers("--std", std), resize=resize or "stretch")  # type: ignore[arg-type]
    except ValueError as error:
        msg = f"--{error}"
        raise UsageError(msg, remedy=HOW_TO_FIND_OUT) from None
    return pixels


def _numbers(flag: str, text: str) -> float | list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, CHANNELS) or not all(math.isfinite(each) for each in numbers):
        msg = f"{flag} {text!r}: expected one number, or three with commas between: red,green,blue"
        raise UsageError(msg, remedy=HOW_TO_FIND_OUT)
    return numbers[0] if len(numbers) == 1 else numbers
