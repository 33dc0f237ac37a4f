"""The figures of `inv verify`, each with its limit."""

from typing import Any

from litekiln.bundles import figures
from litekiln.commands.verify import _measured
from tests.helpers.reports import built, sample


def _rows(**changed: Any) -> dict[str, tuple[str, str]]:
    return {name: (value, limit) for name, value, limit in _measured(built(sample("int8", **changed)).report)}


def _tensor(**more: Any) -> dict[str, Any]:
    found = {"name": "heat", "max": 0.5, "mean": 0.01, "largest": 2.0, "relative": 0.25, "relative_mean": 0.02, "ok": True}
    return {"against": "the model itself", "pictures": 16, "raw": [{**found, **more}]}


def test_what_is_held_to_its_mean_is_told_with_that_limit() -> None:
    rows = _rows(parity=_tensor(mean_limit=0.5))
    assert rows["heat differs from the source by up to"] == ("0.5, 0.25 of its largest value", "")
    assert rows["heat differs on average from the source by"] == ("0.01, 0.02 of its mean value", "0.5 of its mean value")


def test_what_is_held_to_its_largest_difference() -> None:
    rows = _rows(parity=_tensor(limit=0.3))
    assert rows["heat differs from the source by up to"] == ("0.5, 0.25 of its largest value", "0.3 of its largest value")
    assert "heat differs on average from the source by" not in rows


def test_detections_that_nobody_made_are_no_share() -> None:
    nothing = {"source": 0, "matched": 0, "extra": 0, "share": 1.0, "iou": 0.5, "score": 0.3, "limit": 0.6, "ok": True}
    rows = _rows(parity={**_tensor(), "detections": nothing})
    assert rows["share of the source's detections"] == ("neither detects anything", "at least 60 % at IoU 0.5")


def test_figures_that_a_report_shows_too_read_the_same_there() -> None:
    rows, report = _rows(), built(sample("int8")).report
    shown = [rows[name][0] for name in ("mAP on 200 pictures", "one picture on 1 thread, here")]
    assert shown == [figures.accuracy_text(report), figures.time_text(report)] == ["0.918", "4.3 ms"]
    assert rows["share of the source's detections"] == ("100 % (41 of 41, 1 others)", "at least 95 % at IoU 0.5")
    assert figures.parity_text(report) == "100 %"


def test_what_was_lost_is_told_exactly_beside_its_limits() -> None:
    accuracy = sample("int8")["accuracy"]
    rows = _rows(accuracy={**accuracy, "drop_points": 0.64})
    assert rows["points of mAP lost against float32"] == ("0.64", "warns above 0.6, refuses above 1.5")


def test_where_nothing_was_measured_there_is_no_row() -> None:
    report = built(sample(parity={}, accuracy={}, errors={}, speed={}, xnnpack={}, edge_tpu={})).report
    assert list(_measured(report)) == []


def test_nothing_traced_is_no_figure() -> None:
    assert not any("signal to noise" in name for name in _rows(errors={"median_snr_db": None, "advice": "nothing helps"}))
    assert _rows(errors={"median_snr_db": 21.5})["median signal to noise of its tensors"] == ("21.5 dB", "")
