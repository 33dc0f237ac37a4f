"""Which device's figures belong to which bundle: by the hash of the model file alone. Figures of one machine are shown together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from litekiln.bundles.device_format import EMULATED, DeviceFacts, DeviceFigures
from litekiln.bundles.read import Built
from litekiln.variants import place
from litekiln.wording import shown, visible

LEAST_ROUNDS = 3  # with fewer nobody knows how sure the times are
GIGA = 1e9
HASH_SHOWN = 12


@dataclass(frozen=True)
class Measured:
    """A bundle's figures on a device."""

    figures: DeviceFigures
    built: Built
    origin: str

    @property
    def variant(self) -> str:
        return self.built.report.variant

    @property
    def why_not_used(self) -> str:
        """Why nothing is concluded from these times; "" if something can be."""
        if not self.figures.selftest.ok:
            return "it computes other results than were verified"
        if self.figures.device.kind == EMULATED:
            return "its processor is emulated"
        if self.figures.rounds < LEAST_ROUNDS:
            return f"it was stopped before {LEAST_ROUNDS} rounds were finished"
        return ""


@dataclass(frozen=True)
class Device:
    """A machine, with what was measured on it, in the order of variants."""

    facts: DeviceFacts
    measured: tuple[Measured, ...]

    @property
    def name(self) -> str:
        return device_name(self.facts)


def device_name(facts: DeviceFacts) -> str:
    """`Raspberry Pi 4 Model B Rev 1.4`, or the processor of a machine without a board's name."""
    named = facts.board if facts.board != facts.architecture else facts.processor or facts.board
    return named if facts.kind == "hardware" else f"{named} ({facts.kind})"


def match(figures: Mapping[Path, DeviceFigures], bundles: Sequence[Built]) -> tuple[list[Device], list[str]]:
    """The devices with what was measured of these bundles, and a sentence for each file that is left out."""
    groups: dict[tuple[object, ...], dict[str, Measured]] = {}
    left_out = []
    built = {each.report.variant: each for each in bundles}
    for path, each in sorted(figures.items(), key=lambda item: (item[1].measured_at, str(item[0]))):
        origin = visible(str(path))
        if why := _why_not(each, built, bundles[0].report.model):
            left_out.append(f"{origin} is left out: {why}")
            continue
        group = groups.setdefault(_identity(each.device), {})
        if earlier := group.get(each.variant):
            left_out.append(f"{earlier.origin} is left out: {origin} measured {each.variant} on the same device later")
        group[each.variant] = Measured(each, built[each.variant], origin)
    found = [tuple(sorted(group.values(), key=lambda each: place(each.variant))) for group in groups.values()]
    return [Device(each[-1].figures.device, each) for each in found], left_out


def _why_not(figures: DeviceFigures, built: Mapping[str, Built], model: str) -> str:
    """Why a file's figures are of none of these bundles."""
    name = shown(f"{figures.model}/{figures.variant}")
    if figures.model != model:
        return f"it is of {name}, not of {model}"
    if figures.variant not in built:
        return f"it is of {name}, which is not among the bundles that are shown"
    there, here = figures.file.sha256, built[figures.variant].sha256
    if there != here:
        return (
            f"these figures are of another file: measured {there[:HASH_SHOWN]}, built {here[:HASH_SHOWN] or 'of unknown hash'}; "
            f"measure {name} again with an image of this bundle"
        )
    return ""


def _identity(facts: DeviceFacts) -> tuple[object, ...]:
    """What tells machines apart. The kernel may be updated, and reserves more or less memory."""
    memory = facts.memory and round(facts.memory / GIGA)
    return (facts.board, facts.kind, facts.processor, facts.cores, memory, facts.governor, facts.megahertz)
