"""The types hold everything that is in report.json: read and written again, it has the same bytes."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET

from litekiln.bundles.report_measures import given
from litekiln.bundles.report_value import SECTIONS, new_report, pretty_json, read_value, report_value, section_value
from tests.helpers.reports import SIZES, SUSPICION, agreement, plain, sample

WHOLE = sample("int8")
WITHOUT_FLOAT32 = {name: WHOLE["accuracy"][name] for name in ("map", "map_50", "protocol", "per_class")}
ONLY_TOLD = {name: value for name, value in WHOLE["parity"]["detections"].items() if name not in ("limit", "ok")}
NUMBERS = {"name": "heat", "max": 0.5, "mean": 1e-08, "largest": 2.0, "relative": 0.25, "relative_mean": 0.02}
BESIDE = {**WHOLE["parity"], "detections": {**ONLY_TOLD, "limit": 0.6, "ok": True}, "own_detections": ONLY_TOLD}
TF1 = {"image": "normalized_input", "encodings": "raw_outputs/box_encodings", "predictions": "x", "fake_quant": True}
ORDER = {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
TRIALS = [{"what": "int8 as it is", "snr_db": 24.0}, {"what": "16 bits", "failed": "it can't"}]


def _weights(**more: Any) -> dict[str, Any]:
    return {"license": "", "weights": {"variables": 2, "values": 3, "equal": True, **more}, "overrides": {}}


REPORTS = {
    **{variant: sample(variant) for variant in SIZES},
    "tensors only": plain(),
    "no float32": sample(accuracy=WITHOUT_FLOAT32),
    "agreement": sample(accuracy={}, agreement={**agreement(), "set": "photos"}),
    "suspicion": sample(suspicion=SUSPICION),
    "the source's own detections": sample(parity=BESIDE),
    "held to nothing": sample(parity={**WHOLE["parity"], "raw": [NUMBERS]}),
    "held to its mean": sample(parity={**WHOLE["parity"], "raw": [{**NUMBERS, "mean_limit": 0.5, "ok": True}]}),
    "trials that failed": sample(errors={**WHOLE["errors"], "trials": TRIALS}),
    "nothing traced": sample(errors={"pictures": 8, "tensors": [], "count": 0, "median_snr_db": None}),
    "a class in no picture": sample(accuracy={**WHOLE["accuracy"], "per_class": {"circle": 0.9, "square": None}}),
    "a Keras file": sample(source=_weights(unused=0, largest_difference=2.5e-07)),
    "CenterNet": sample(source=_weights(left_out=6), contract={**WHOLE["contract"], "outputs": "detections"}),
    "TF1": sample(source=_weights(differing=[]), contract={**WHOLE["contract"], "tf1": TF1}),
    "a publisher's file": sample(
        source={"license": "", "weights": {}, "overrides": {}}, contract={**WHOLE["contract"], "published_order": ORDER}
    ),
    "another alphabet": sample(warnings=["größer als 1 µs"], reproduce="inv build --model épice"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_written_as_it_was_read(name: str) -> None:
    before = json.dumps(REPORTS[name], indent=1, sort_keys=True) + "\n"
    report = new_report(json.loads(before))
    assert pretty_json(report_value(report)) == before
    assert new_report(report_value(report)) == report


def test_a_section_that_does_not_apply_is_empty_in_the_file() -> None:
    report = read_value({name: part for name, part in WHOLE.items() if name not in SECTIONS})
    assert [getattr(report, name) for name in SECTIONS] == [None] * len(SECTIONS)
    assert [report_value(report)[name] for name in SECTIONS] == [{}] * len(SECTIONS)


def test_what_is_left_out_is_none_to_readers() -> None:
    accuracy = new_report(REPORTS["no float32"]).accuracy
    assert accuracy
    assert accuracy.drop_points is UNSET
    assert (given(accuracy.drop_points), given(accuracy.map), given(None)) == (None, 0.9185, None)


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (lambda value: value, "$"),
        (lambda value: value["speed"]["machine"], "$.speed.machine"),
        (lambda value: value["examples"][1]["found"][2], "$.examples[1].found[2]"),
    ],
)
def test_a_build_refuses_an_unknown_field(found: Callable[[dict[str, Any]], dict[str, Any]], path: str) -> None:
    value = copy.deepcopy(WHOLE)
    found(value)["news"] = {"why": 1}
    assert read_value(value).model == "shapes"  # the report of another litekiln can be read
    with pytest.raises(ValueError, match="unknown field") as caught:
        new_report(value)
    assert str(caught.value) == f"Object contains unknown field `news` - at `{path}`"


@pytest.mark.parametrize("value", [WHOLE, {"a": [], "b": {}, "ä\ud800": [1e-08, 1e16, -0.0]}, [math.nan, math.inf], 1, "x"])
def test_the_text_is_that_of_json(value: object) -> None:
    assert pretty_json(value) == json.dumps(value, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("name", sample())
def test_a_part_of_a_report_is_as_in_the_whole(name: str) -> None:
    report = new_report(sample())
    assert section_value(report, name) == report_value(report)[name]
