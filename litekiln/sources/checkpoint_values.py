"""Check what a checkpoint's variables hold: the checksum of each, and values that no trained model has.

A build would end in the middle of TensorFlow's own code, or give a model that finds nothing.
"""

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from litekiln.errors import SourceError
from litekiln.formats.checkpoint import COPY_AGAIN, Variable, data_file, read_values
from litekiln.wording import amount, list_names

ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"
SLOT = re.compile(r"/\.OPTIMIZER_SLOT/|^optimizer/|/(?:Momentum|RMSProp(?:_\d)?|Adam(?:_\d)?|Adagrad)$")  # of the training
KERNEL = re.compile(r"(?:^|/)(?:(?:depthwise_|pointwise_)?kernel|(?:depthwise_)?weights)$")
MEAN, VARIANCE = re.compile(r"(?:^|/)moving_mean$"), re.compile(r"(?:^|/)moving_variance$")
FLOATS = {"float32": "f", "float64": "d"}
DAMAGED = "the data was changed after the checkpoint was saved: a copy, a disk or an editing program damaged it"


def plain_name(name: str) -> str:
    """A variable's name without the end that TF2 gives to all."""
    return name.removesuffix(ATTRIBUTE)


@dataclass
class _Held:
    """What the variables of a model hold. A statistic is true if it is that of the start."""

    infinite: list[str] = field(default_factory=list)
    negative: list[str] = field(default_factory=list)
    kernels: dict[str, bool] = field(default_factory=dict)  # whether each is zero
    means: dict[str, bool] = field(default_factory=dict)
    variances: dict[str, bool] = field(default_factory=dict)

    def add(self, name: str, numbers: Sequence[float]) -> None:
        layer = name.rpartition("/")[0]
        if not math.isfinite(sum(numbers)):
            self.infinite.append(name)
        elif KERNEL.search(name):
            self.kernels[name] = not any(numbers)
        elif MEAN.search(name):
            self.means[layer] = not any(numbers)
        elif VARIANCE.search(name):
            self.variances[layer] = all(each == 1 for each in numbers)
            if min(numbers, default=0) < 0:
                self.negative.append(name)


def check_values(prefix: Path, variables: Mapping[str, Variable]) -> list[str]:
    """Warnings about the values of a complete checkpoint. Damaged ones, and those that are no numbers, are a SourceError."""
    damaged, held, empty = [], _Held(), True
    for name, value, sound in read_values(prefix, variables):
        empty = empty and not value.strip(b"\0")
        if not sound:
            damaged.append(name)
        elif (form := FLOATS.get(variables[name].dtype)) and not SLOT.search(plain_name(name)):
            held.add(plain_name(name), array(form, value))
    if damaged:
        raise _damage(prefix, variables, damaged, empty=empty)
    if held.infinite:
        some = amount(len(held.infinite), "variable holds", "variables hold")
        problem = f"{some} values that are no finite numbers (NaN or infinite): {list_names(held.infinite)}"
        cause = "the training diverged, as too high a learning rate makes it: the loss became NaN"
        raise SourceError(f"{prefix}: {problem}", cause=cause, remedy=_earlier(prefix))
    if held.negative:
        problem = f"variances below zero, which no pictures give: {list_names(held.negative)}"
        raise SourceError(f"{prefix}: {problem}", cause="somebody changed the checkpoint's values", remedy=_earlier(prefix))
    return [*_zero_kernels(prefix, held.kernels), *_first_statistics(prefix, held.means, held.variances)]


def _damage(prefix: Path, variables: Mapping[str, Variable], names: list[str], *, empty: bool) -> SourceError:
    checked = [name for name, variable in variables.items() if variable.size]
    shards = 1 + max(variable.shard for variable in variables.values())
    if empty:
        what = f"{data_file(prefix, 0, shards)} holds nothing but zeros"
        return SourceError(what, cause="the copy or the download reserved its room, and never filled it", remedy=COPY_AGAIN)
    first = variables[names[0]]
    place = f"at byte {first.offset} of {data_file(prefix, first.shard, shards).name}"
    if 2 * len(names) > len(checked):
        what = f"{prefix}: {len(names)} of {len(checked)} variables don't have their checksums of the index"
        cause = "the .data file is of another checkpoint, or the end of a download is missing"
        return SourceError(f"{what}; the first is {plain_name(names[0])}, {place}", cause=cause, remedy=COPY_AGAIN)
    fail = "fails its checksum" if len(names) == 1 else "fail their checksums"
    what = f"{prefix}: {len(names)} of {len(checked)} variables {fail}"
    listed = list_names(plain_name(name) for name in names)
    return SourceError(f"{what}: {listed}; the first is {place}", cause=DAMAGED, remedy=COPY_AGAIN)


def _earlier(prefix: Path) -> str:
    others = sorted(path.stem for path in prefix.parent.glob("*.index") if path.stem != prefix.name)
    if others:
        return f"give an earlier checkpoint: its folder has {list_names(others)}; or train again"
    return "give an earlier checkpoint of the training, or train again"


def _zero_kernels(prefix: Path, kernels: Mapping[str, bool]) -> list[str]:
    zeros = [name for name, zero in kernels.items() if zero]
    if not zeros:
        return []
    if len(zeros) == len(kernels):
        problem = f"{prefix}: all its {amount(len(kernels), 'kernel is', 'kernels are')} zero, so it can find nothing"
        raise SourceError(problem, cause="the training did not save its weights", remedy=_earlier(prefix))
    some = f"{len(zeros)} of {len(kernels)} kernels are zero, so their layers let nothing through"
    return [f"{prefix}: {some}: {list_names(zeros)}. No training ends like this: give an earlier checkpoint"]


def _first_statistics(prefix: Path, means: Mapping[str, bool], variances: Mapping[str, bool]) -> list[str]:
    """A warning about batch normalisation that has not seen a picture: every mean is 0 and every variance 1."""
    layers = sorted(means.keys() & variances.keys())
    fresh = [layer for layer in layers if means[layer] and variances[layer]]
    if not fresh:
        return []
    count = "all" if len(fresh) == len(layers) else f"{len(fresh)} of"
    text = f"{count} {len(layers)} batch normalisations have the statistics of the start, mean 0 and variance 1"
    listed = "" if len(fresh) == len(layers) else f" ({list_names(fresh)})"
    end = "unless the training froze them, they were reset or never trained, and the model will find little"
    return [f"{prefix}: {text}{listed}: {end}"]
