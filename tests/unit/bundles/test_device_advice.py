"""Which figures belong to which bundle, and what is concluded from them: no more than was measured, and nothing from chance."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from litekiln.bundles.device_advice import Advice, advise
from litekiln.bundles.device_format import DeviceFigures
from litekiln.bundles.device_match import Device, match
from litekiln.bundles.read import Built
from tests.helpers.devices import figures, put, times
from tests.helpers.reports import built, sample

PI = "Raspberry Pi 4 Model B Rev 1.4"


def bundles(*variants: str, **sections: Any) -> list[Built]:
    """Bundles whose loss against float32 is known to within 0.2 points."""
    found = []
    for variant in variants:
        report = sample(variant, **copy.deepcopy(sections))
        if report["accuracy"]:
            report["accuracy"]["drop_error"] = 0.2
        found.append(built(report))
    return found


def matched(documents: Sequence[dict[str, Any]], of: Sequence[Built]) -> tuple[list[Device], list[str]]:
    read = {Path(f"{place}.json"): msgspec.convert(each, DeviceFigures) for place, each in enumerate(documents)}
    return match(read, of)


def _advice(documents: Sequence[dict[str, Any]], of: Sequence[Built] | None = None) -> Advice:
    devices, left_out = matched(documents, of or bundles(*(each["variant"] for each in documents)))
    assert (len(devices), left_out) == (1, [])
    return advise(devices[0])


def _frames(
    variant: str, *medians: float, spread: tuple[float, ...] = (0.99, 1.0, 1.01, 1.0, 1.0), **changed: Any
) -> dict[str, Any]:
    """A document with these times of a frame with 1, 2, … threads."""
    told = figures(variant, rounds=len(spread), **changed)
    told["threads"] = told["threads"][: len(medians)]
    for each, median in zip(told["threads"], medians, strict=True):
        each["inference"], each["frame"] = times(median / 2, spread), times(median, spread)
    return told


# Which figures belong to which bundle


def test_files_of_one_machine_are_one_device() -> None:
    five = figures("int8", device__board="Raspberry Pi 5 Model B Rev 1.0")
    later_kernel = figures("float32", device__system__kernel="Linux 6.12", device__memory=3977478144 - 4096)
    devices, left_out = matched([figures("int8"), five, later_kernel], bundles("float32", "int8"))
    assert left_out == []
    assert [(each.name, [one.variant for one in each.measured]) for each in devices] == [
        (PI, ["float32", "int8"]),
        ("Raspberry Pi 5 Model B Rev 1.0", ["int8"]),
    ]


@pytest.mark.parametrize(("name", "value"), [("governor", "performance"), ("cores", 3), ("memory", 8_000_000_000)])
def test_what_changes_the_times_makes_two_devices(name: str, value: Any) -> None:
    devices, _ = matched([figures("int8"), figures("int8", **{f"device__{name}": value})], bundles("int8"))
    assert len(devices) == 2


@pytest.mark.parametrize(
    ("board", "processor", "kind", "name"),
    [
        (PI, "Cortex-A72", "hardware", PI),
        ("x86_64", "A processor, 2.5 GHz", "virtual machine", "A processor, 2.5 GHz (virtual machine)"),
        ("aarch64", None, "emulated", "aarch64 (emulated)"),
    ],
)
def test_a_devices_name(board: str, processor: str | None, kind: str, name: str) -> None:
    architecture = "aarch64" if board == PI else board
    told = figures(device__board=board, device__processor=processor, device__kind=kind, device__architecture=architecture)
    assert matched([told], bundles("int8"))[0][0].name == name


def test_figures_of_another_file_are_left_out_and_said() -> None:
    other = "ab" * 32
    given = [
        figures("int8", file__sha256=other),
        figures("int8", model="street"),
        figures("int16x8"),
        figures("float32", measured_at="2026-05-04T10:20:30Z"),
        figures("float32", measured_at="2026-05-05T10:20:30Z"),
    ]
    devices, left_out = matched(given, of := bundles("float32", "int8"))
    assert [one.origin for one in devices[0].measured] == ["4.json"]
    why = f"these figures are of another file: measured abababababab, built {of[1].sha256[:12]}"
    assert left_out == [
        f"0.json is left out: {why}; measure shapes/int8 again with an image of this bundle",
        "1.json is left out: it is of street/int8, not of shapes",
        "2.json is left out: it is of shapes/int16x8, which is not among the bundles that are shown",
        "3.json is left out: 4.json measured float32 on the same device later",
    ]


# What to take


def test_the_fastest_within_its_limits_is_taken_and_what_is_better_is_named() -> None:
    advice = _advice([_frames("float32", 220, 150, 124), _frames("int8", 90, 50, 40)])
    assert advice.sentences == (
        f"On {PI} take int8 with 3 threads: 40 ms a frame, mAP 0.918.",
        "float32 is 0.005 better and takes 3.1 times as long.",
    )
    assert advice.frontier == ("int8", "float32")


def test_the_fewest_threads_that_nothing_is_surely_faster_than() -> None:
    """The third is faster by less than the spread of its rounds."""
    advice = _advice([_frames("int8", 90, 50, 49.6)])
    assert advice.best
    assert (advice.best.threads, advice.best.times.median) == (2, 50)
    assert "More threads are not faster beyond the measurement's spread." in advice.sentences
    assert "No other variant was measured there" in advice.sentences[1]


def test_with_a_wide_spread_nothing_is_called_faster() -> None:
    wide = (0.6, 0.8, 1.0, 1.2, 1.4)
    advice = _advice([_frames("float32", 60, spread=wide), _frames("int8", 40, spread=wide)])
    assert advice.sentences == (
        f"On {PI} take int8 with 1 thread: 40 ms a frame, mAP 0.918.",
        "float32 is 0.005 better and takes 1.5 times as long, but the measured times overlap.",
    )
    alike = _advice([_frames("int8-io", 60, spread=wide), _frames("int8", 40, spread=wide)])
    assert alike.sentences[1] == (
        "int8-io takes 60 ms, but the measured times overlap, and is no more accurate beyond chance, mAP 0.918."
    )
    assert alike.frontier == ("int8", "int8-io")


def test_with_a_wide_spread_more_threads_are_not_called_useless() -> None:
    advice = _advice([_frames("int8", 90, 50, 40, spread=(0.5, 1.0, 2.0))])
    assert advice.best
    assert advice.best.threads == 3


def test_what_is_as_fast_and_surely_more_accurate_leaves_no_reason_for_the_other() -> None:
    advice = _advice([_frames("float32", 40.1), _frames("int8", 40)])
    assert advice.frontier == ("float32",)
    assert advice.sentences == (
        f"On {PI} take float32 with 1 thread: 40.1 ms a frame, mAP 0.923.",
        "There is no reason to take int8: others are faster or more accurate, and as good otherwise.",
    )


def test_a_difference_of_map_within_chance_is_not_called_better() -> None:
    of = bundles("float32", "int8")
    unsure = msgspec.structs.replace(of[1].report.accuracy, drop_error=0.7)  # type: ignore[type-var]
    of[1] = Built(msgspec.structs.replace(of[1].report, accuracy=unsure), of[1].manifest)
    advice = _advice([_frames("float32", 120), _frames("int8", 40)], of)
    assert advice.frontier == ("int8",)
    assert not any("better" in each for each in advice.sentences)
    sure = _advice([_frames("float32", 120), _frames("int8", 40)])
    assert sure.frontier == ("int8", "float32")


def test_where_a_report_does_not_say_how_sure_its_map_is_a_point_is_chance() -> None:
    of = [built(sample(variant)) for variant in ("float32", "int8")]
    assert _advice([_frames("float32", 120), _frames("int8", 40)], of).frontier == ("int8",)


def test_of_those_that_are_as_fast_the_most_accurate() -> None:
    advice = _advice([_frames("float32", 120), _frames("int8", 40), _frames("int8-raw", 40.2)])
    assert advice.best
    assert advice.best.variant == "int8"


def test_without_map_it_is_not_spoken_of() -> None:
    of = bundles("float32", "int8", accuracy={})
    advice = _advice([_frames("float32", 120), _frames("int8", 40)], of)
    assert advice.sentences[0] == f"On {PI} take int8 with 1 thread: 40 ms a frame; its accuracy was not measured."
    assert advice.frontier == ("int8",)


def test_a_variant_that_lost_too_much_is_not_recommended() -> None:
    of = [*bundles("float32"), *bundles("int8", verdict="not for use")]
    advice = _advice([_frames("float32", 120), _frames("int8", 40)], of)
    assert advice.best
    assert advice.best.variant == "float32"
    assert advice.sentences[-1] == "int8 is not recommended: its verdict says why."


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"selftest": {"ok": False, "said": "1 of 3"}}, "it computes other results than were verified"),
        ({"device.kind": "emulated"}, "its processor is emulated"),
        ({"rounds": 2, "complete": False}, "it was stopped before 3 rounds were finished"),
    ],
)
def test_nothing_is_concluded_from_what_is_no_measurement(changes: dict[str, Any], why: str) -> None:
    told = _frames("int8", 40)
    for path, value in changes.items():
        put(told, path, value)
    advice = _advice([told])
    assert (advice.best, advice.frontier, advice.options) == (None, (), ())
    assert advice.sentences == (f"Nothing is concluded from int8: {why}.",)


def test_doubtful_times_are_named() -> None:
    advice = _advice([_frames("float32", 120), _frames("int8", 40, doubts=["it was 82 °C hot"])])
    assert advice.sentences[-1] == "With care: the times of int8 are doubtful."
    assert advice.best
    assert advice.best.variant == "int8"
