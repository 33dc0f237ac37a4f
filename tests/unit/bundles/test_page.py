"""report.html: what it says of a report, that it holds nothing else, and that nothing in a report can act."""

import copy
import json
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from litekiln import hashing
from litekiln.bundles.page import bundle_page, code_hash, compare_page, model_page, write_model_page
from litekiln.bundles.page.charts import bars, clipped, cloud, shortened
from litekiln.bundles.page.pictures import shown_pictures
from litekiln.bundles.read import Built, read_bundle
from litekiln.paths import Project
from tests.helpers.pages import Page
from tests.helpers.reports import (
    HOSTILE,
    LOCK,
    SIZES,
    built,
    first_format,
    hostile,
    picture,
    plain,
    raw,
    sample,
    seal,
    validated,
    write_bundle,
    write_model,
)


def _page(report: dict[str, Any], files: dict[str, Path] | None = None) -> Page:
    page = Page(bundle_page(built(report, files)))
    page.assert_closed()
    return page


def test_the_verdict_stands_on_top_in_a_sentence() -> None:
    page = _page(sample())
    assert page.text_of("verdict") == (
        "✓ You can use it verdict: ok This file finds 41 of 41 things that its source finds in the same pictures, "
        "and has 0.918 mAP, 0.5 points less than float32."
    )


RANDOM = {"count": 10, "seed": 0, "random": True, "channels": [], "warnings": ["calibrated with random noise: not for use"]}
LOST = {"map": 0.682, "drop_points": 24.13, "limit_points": 1.5, "within_limit": False}
BLUE = {
    "now": 0.68,
    "measure": "mAP",
    "tried": [{"what": "blue and red exchanged", "score": 0.91}],
    "likely": "blue and red exchanged",
}
AGREES = {"with": "float32", "set": "coco128", "pictures": 128, "detections": 310, "matched": 300, "share": 0.968}
ADVICE = {"count": 3, "advice": "keep the first operator in float"}
NOT_FOUND = {"source": 41, "matched": 30, "share": 0.73, "iou": 0.5, "limit": 0.95, "ok": False}


@pytest.mark.parametrize(
    ("sections", "title", "sentence", "remedy"),
    [
        ({"verdict": "not for use", "calibration": RANDOM}, "Don't use it", "measured on noise instead of pictures", "--calib DIR"),
        ({"verdict": "not for use"}, "Don't use it", "Something about it is wrong: the warnings and checks below say what.", ""),
        (
            {"verdict": "over its limit", "accuracy": LOST, "suspicion": BLUE},
            "It lost too much",
            "It has 0.682 mAP, 24.1 points less than float32; 1.5 are allowed.",
            "The likely mistake: blue and red exchanged. Fix that in models/shapes/model.toml",
        ),
        (
            {"verdict": "over its limit", "accuracy": LOST, "errors": ADVICE},
            "It lost too much",
            "1.5 are allowed.",
            "Keep the first operator in float.",
        ),
        (
            {"verdict": "over its limit", "accuracy": LOST, "errors": {}},
            "It lost too much",
            "1.5 are allowed.",
            "int16x8 or float16",
        ),
        (
            {"verdict": "over its limit", "parity": {"against": "x", "detections": NOT_FOUND}, "errors": {}},
            "It lost too much",
            "It finds only 30 of 41 things that its source finds in the same pictures.",
            "Use another variant",
        ),
        (
            {"verdict": "over its limit", "parity": {"against": "x", "raw": [raw("a", 0.5)]}},
            "It lost too much",
            "Its outputs differ from its source's by more than the limit.",
            "",
        ),
        (
            {"verdict": "over its limit", "parity": {}, "accuracy": {}, "agreement": {**AGREES, "ok": False}},
            "It lost too much",
            "It agrees with float32 in only 96.8 % of all detections.",
            "",
        ),
        ({"verdict": "ok, with warnings"}, "You can use it, with care", "Read the warnings first.", ""),
        (
            {"accuracy": {}, "parity": {}, "agreement": AGREES},
            "You can use it",
            "agrees with float32 in 96.8 % of all detections. Accuracy was not measured.",
            "",
        ),
        (
            {"accuracy": {}, "parity": {"against": "x"}},
            "You can use it",
            "outputs match those of its source, within the limits below",
            "",
        ),
        ({"accuracy": {}, "parity": {}}, "You can use it", "expected inputs and outputs. Accuracy was not measured.", ""),
        ({"accuracy": {"map": 0.9}, "parity": {}}, "You can use it", "This file has 0.900 mAP on the evaluation set.", ""),
        (
            {"accuracy": {"map": 0.9, "drop_points": 0.01}, "parity": {}},
            "You can use it",
            "mAP on the evaluation set, no less than",
            "",
        ),
    ],
)
def test_each_verdict_has_its_words(sections: dict[str, Any], title: str, sentence: str, remedy: str) -> None:
    said = _page(sample(**sections)).text_of("verdict")
    assert title in said
    assert sentence in said
    assert remedy in said
    if not remedy and sections.get("verdict") is None:
        assert "What to do" not in said


def test_warnings_are_told_as_they_are() -> None:
    warned = sample(verdict="ok, with warnings", warnings=["calibrated with 60 pictures, fewer than 100: accuracy may suffer"])
    assert "calibrated with 60 pictures, fewer than 100: accuracy may suffer" in _page(warned).text_of("verdict")


SECTIONS = {
    "parity": "of 41 detections the file makes 41 again (100 %; at least 95 % required)",
    "accuracy": "float32 has 0.923: ✓ lost 0.5 points, 1.5 are allowed.",
    "errors": "118 tensors were compared with float32's on 8 pictures; half of them are better than 31 dB.",
    "calibration": "200 pictures, chosen with seed 0; left out: 0 copies, 0 that can't be read.",
    "checks": "exactly one PostProcess operator11✓ ok",
    "speed": "It runs 118 of 121 operators (97.5 %), in 2 parts. It does not run: PACK (2), TFLite_Detection_PostProcess (1).",
    "edge-tpu": "not ready for it: its input and output are float32. Its weights are 1.0 MB: they fit the 8 MB",
    "file": "each pixel becomes (pixel \u2212 127.5) / 127.5, that is -1 to 1.",
    "origin": "all 648568 numbers in 344 variables are the source's",
}


@pytest.mark.parametrize(("section", "said"), SECTIONS.items())
def test_each_section_says_what_was_measured(section: str, said: str) -> None:
    assert said in _page(sample()).text_of(f"int8-{section}")


EMPTY = {
    "parity": "This build did not compare the file with its source.",
    "accuracy": "It returns plain tensors, whose meaning is not known: accuracy could not be measured.",
    "errors": "This variant computes in float: it has no error from integers.",
    "calibration": "This variant computes in float: it needs no calibration pictures.",
    "checks": "This build kept no list of its checks.",
    "speed": "Speed was not measured in this build.XNNPACK, the fast path of TFLite Not checked in this build.",
    "edge-tpu": "Not checked in this build.",
}


@pytest.mark.parametrize(("section", "said"), EMPTY.items())
def test_a_section_that_does_not_apply_says_so_without_a_table(section: str, said: str) -> None:
    assert said in _page(plain()).text_of(f"float32-{section}")


def test_without_an_evaluation_set_it_is_called_agreement() -> None:
    said = _page(sample(accuracy={}, agreement=AGREES)).text_of("int8-accuracy")
    assert "of 310 detections that float32 makes in 128 pictures of coco128, this file makes 300 too (96.8 %)" in said
    assert "This is agreement and not accuracy" in said
    assert "Give one with inv new --eval DIR" in said


def test_what_an_integer_variant_needs_no_pictures_for() -> None:
    said = _page(plain("int8")).text_of("int8-calibration")
    assert said.endswith("This variant's integer ranges come from its training or its publisher: no pictures were needed.")


def test_what_failed_is_marked() -> None:
    report = sample(verdict="over its limit", accuracy={**sample()["accuracy"], **LOST}, suspicion=BLUE)
    report["checks"][1].update(found="one is -1", ok=False)
    page = _page(validated(report))
    assert "✗ lost 24.1 points" in page.text_of("int8-accuracy")
    assert "one explains it: blue and red exchanged" in page.text_of("int8-accuracy")
    assert "one is -1all✗ wrong" in page.text_of("int8-checks")


def test_outputs_without_a_limit_are_only_told() -> None:
    told = [{name: value for name, value in raw("box_encodings", 0.083).items() if name not in ("limit", "ok")}]
    page = _page(sample(parity={"against": "x", "raw": told}))
    assert "Largest difference, % of the largest number" in page.text_of("int8-parity")
    assert page.text_of("int8-parity").endswith("-no limit")
    assert "How much of the allowed difference is used, % of the limit" in _page(sample()).text_of("int8-parity")


@pytest.mark.parametrize(("relative_mean", "said"), [(0.02, "0.05 of the mean✓ ok"), (0.08, "0.05 of the mean✗ too far")])
def test_an_output_may_be_held_to_its_mean_difference(relative_mean: float, said: str) -> None:
    told = {name: value for name, value in raw("net", 0.3).items() if name != "limit"}
    told |= {"relative_mean": relative_mean, "mean_limit": 0.05, "ok": relative_mean <= 0.05}
    page = _page(sample(parity={"against": "x", "raw": [told]}))
    assert page.text_of("int8-parity").endswith(said)
    assert "How much of the allowed difference is used, % of the limit" in page.text_of("int8-parity")


def test_the_sources_own_detections_are_told() -> None:
    own = {"source": 33, "matched": 32, "share": 0.97, "iou": 0.5}
    said = _page(sample(parity={**sample()["parity"], "own_detections": own})).text_of("int8-parity")
    assert "Compared with these, the file makes 32 of 33 again (97 %)." in said


def test_what_the_edge_tpus_compiler_says_is_shown() -> None:
    edge_tpu = {**sample()["edge_tpu"], "compiled": {"compiled": False, "said": ["Model not quantized"]}}
    assert "Its compiler refused it" in _page(sample(edge_tpu=edge_tpu)).text_of("int8-edge-tpu")


def test_what_is_wrong_with_the_pictures_is_told() -> None:
    calibration = sample()["calibration"]
    narrow = {"min": 0.0, "max": 0.6, "mean": 0.2}
    calibration.update(
        duplicates=[{"name": "b.jpg", "same_as": "a.jpg"}],
        unreadable=[{"name": "c.jpg", "why": "cut off"}],
        constant=["d.jpg"],
        channels=[narrow] * 3,
        warnings=["1 pictures can't be read"],
    )
    page = _page(sample(calibration=calibration))
    said = page.text_of("int8-calibration")
    for part in ("b.jpg: a copy of a.jpg", "c.jpg: can't be read: cut off", "d.jpg: one colour only", "1 pictures can't be read"):
        assert part in said
    assert said.count("doesn't fit the range") == 3
    assert "doesn't fit the range" not in _page(sample()).text_of("int8-calibration")


def test_a_report_of_the_first_format_has_a_page() -> None:
    page = _page(first_format())
    assert "This file has 0.918 mAP on 200 pictures, 0.5 points less than float32." in page.text_of("verdict")
    assert page.text_of("pictures") == "What it sees This build had no pictures."


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    folders = write_model(tmp_path, *(sample(variant) for variant in SIZES))
    assert model_page(folders) == model_page(list(reversed(folders)))
    report = sample()
    assert bundle_page(built(report)) == bundle_page(built(copy.deepcopy(report)))
    assert "202" not in bundle_page(built(plain())).replace("2020", "")  # no year, so no date


def test_a_picture_is_in_the_page_once_with_boxes_beside_each_other(tmp_path: Path) -> None:
    folders = write_model(tmp_path, sample("float32"), sample("int8"))
    page = Page(model_page(folders))
    page.assert_closed()
    assert len(page.all("image")) == 2
    assert all(each.attributes["href"].startswith("data:image/png;base64,") for each in page.all("image"))
    labels = [each.attributes["aria-label"] for each in page.all("svg") if "sees" in each.attributes.get("aria-label", "")]
    assert labels[:3] == [
        "00001.png, what the source sees: circle 0.98, square 0.91",
        "00001.png, what float32 sees: circle 0.97, square 0.88",
        "00001.png, what int8 sees: circle 0.97, square 0.88",
    ]
    hidden = page.all("g", "below")
    assert {each.attributes["data-name"] for each in hidden} == {"triangle 0.12"}


def _two_builds(folder: Path, change: Callable[[dict[str, Any]], object]) -> tuple[Built, Built]:
    """Of two models, whose pictures are called the same; the other's first one is changed."""
    other = sample("int8", model="other")
    change(other["examples"][0])
    first, second = (folders[0] for folders in (write_model(folder, sample()), write_model(folder, validated(other))))
    return read_bundle(first), read_bundle(second)


@pytest.mark.parametrize(
    "change",
    [
        lambda example: example.update(width=72),
        lambda example: example.update(height=96),
        lambda example: example.update(source=[]),
        lambda example: example.update(file="examples/1.png"),
    ],
    ids=["width", "height", "source", "content"],
)
def test_pictures_of_one_name_that_are_two_are_not_mixed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    left, right = _two_builds(tmp_path, change)
    mine, both, other = shown_pictures([left, right])
    assert [each.name for each in (mine, both, other)] == ["00001.png", "00002.png", "00001.png"]
    assert [[panel.index for panel in each.panels] for each in (mine, both, other)] == [[0], [0, 1], [1]]
    theirs = right.report.examples[0]
    assert (other.width, other.height, len(other.source.boxes)) == (theirs.width, theirs.height, len(theirs.source))
    assert other.panels[0].boxes[-1].x == round(theirs.found[0].box[1] * theirs.width, 1)
    page = Page(compare_page(left, right))
    page.assert_closed()
    assert [each.attributes["class"] for each in page.all("figure", "picture")] == ["picture v0", "picture v0 v1", "picture v1"]


def test_a_picture_that_one_build_lacks_is_taken_from_the_other(tmp_path: Path) -> None:
    whole, _ = _two_builds(tmp_path, lambda _: None)
    alone = Built(whole.report)
    for builds in ([whole, alone], [alone, whole]):
        shown = shown_pictures(builds)
        assert [[panel.index for panel in each.panels] for each in shown] == [[0, 1], [0, 1]]
        assert all(each.uri.startswith("data:image/png;base64,") for each in shown)


def test_a_build_without_pictures_beside_one_with_them(tmp_path: Path) -> None:
    left, _ = _two_builds(tmp_path, lambda _: None)
    page = Page(compare_page(left, Built(replace(left.report, examples=[]))))
    page.assert_closed()
    assert [(each.attributes["class"], each.text) for each in page.all("p", "none")] == [("none v1", "This build had no pictures.")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("examples/0.png", b"<svg onload=alert(1)>"),
        ("../outside.png", picture(1)),
        ("examples/0.png", picture(1) + bytes(4_000_000)),
    ],
    ids=["no picture", "out of the bundle", "too large"],
)
def test_what_is_no_picture_of_the_bundle_is_left_out(tmp_path: Path, name: str, content: bytes) -> None:
    report = sample(examples=[{**sample()["examples"][0], "file": name}])
    folder = write_bundle(tmp_path / "int8", report)
    (folder / name).write_bytes(content)
    page = Page(model_page([seal(folder)]))
    page.assert_closed()
    assert page.all("image") == []
    assert "the picture itself is not in the bundle" in page.text_of("pictures")


def test_a_box_out_of_the_picture_stays_inside() -> None:
    far = {"box": [-1.0, -2.0, 3.0, 9.0], "name": "x" * 300, "score": 0.9}
    page = _page(sample(examples=[{**sample()["examples"][0], "found": [far], "source": []}]))
    (edge,) = page.all("rect", "edge")
    assert [edge.attributes[name] for name in ("x", "y", "width", "height")] == ["0.0", "0.0", "32.0", "24.0"]


def test_nothing_in_a_report_becomes_markup() -> None:
    page = Page(bundle_page(built(hostile())))
    page.assert_closed()
    assert len(page.all("script")) == 1
    assert "alert" not in page.all("script")[0].text
    assert HOSTILE in page.by_id("verdict").text


def test_half_a_character_is_no_crash() -> None:
    assert "\ud800" not in bundle_page(built(sample(warnings=["\ud800"])))


@pytest.mark.parametrize("report", [sample(), plain(), first_format()], ids=["whole", "plain", "first format"])
def test_it_can_be_read_without_eyes(report: dict[str, Any]) -> None:
    page = _page(report)
    assert page.all("html")[0].attributes["lang"] == "en"
    assert len(page.all("h1")) == 1
    levels = [int(each.tag[1]) for each in page.elements if each.tag in ("h1", "h2", "h3", "h4")]
    assert all(level <= before + 1 for before, level in pairwise(levels))
    assert all(each.attributes.get("aria-label") or each.attributes.get("aria-hidden") for each in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(each.attributes.get("scope") for each in page.all("th"))
    labelled = {each.attributes["for"] for each in page.all("label")}
    inputs = [each for each in page.all("input") if "hidden" not in each.attributes]
    assert all(each.attributes["id"] in labelled for each in inputs)


# A model's page


def test_a_model_page_has_the_variants_in_order_and_says_which_to_take(tmp_path: Path) -> None:
    over = {"verdict": "over its limit", "accuracy": {**sample()["accuracy"], **LOST}}
    folders = write_model(tmp_path, sample("int8-raw", **over), sample("int8"), sample("dynamic"), sample("float32"))
    page = Page(model_page(folders))
    page.assert_closed()
    assert page.text_of("verdict") == "! You can use some of them 3 of 4 variants can be used. Not: int8-raw."
    rows = [each.text for each in page.all("tr")[1:5]]
    assert [row.partition("✓")[0].partition("✗")[0] for row in rows] == ["float32", "dynamic", "int8", "int8-raw"]
    assert rows[2] == "int8✓ You can use it0.9180.5100 %1.0 MB4.3 ms"
    assert [each.text for each in page.all("dl", "picks")] == [
        "most accuratefloat320.923 mAPfastest hereint84.3 ms on one threadsmallestdynamic897.0 kB"
    ]
    titles = [each.text for each in page.all("figcaption")][:3]
    assert titles == [
        "Accuracy by size",
        "mAP lost against float32, points; up to 1.5 allowed",
        "Time for one picture, ms 1 thread 2 threads",
    ]


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("ok", "ok"), "✓ You can use any of them All 2 variants can be used."),
        (("ok", "ok, with warnings"), "! You can use any of them All 2 variants can be used. With care: int8."),
        (("ok",), "✓ You can use it The one variant can be used."),
        (("not for use", "over its limit"), "✗ None of them can be used Each of the 2 variants lost too much"),
    ],
)
def test_what_is_said_of_all_variants(tmp_path: Path, verdicts: tuple[str, ...], said: str) -> None:
    variants = zip(("float32", "int8"), verdicts, strict=False)
    page = Page(model_page(write_model(tmp_path, *(sample(variant, verdict=verdict) for variant, verdict in variants))))
    assert page.text_of("verdict").startswith(said)


def test_a_model_page_is_left_alone_until_a_bundle_changes(project: Project) -> None:
    (folder,) = write_model(project.out, sample())
    page = write_model_page(project, "shapes", pytest.fail)
    first, text = page.stat().st_ino, page.read_text(encoding="utf-8")
    assert write_model_page(project, "shapes", pytest.fail).stat().st_ino == first
    (folder / "report.json").write_text(json.dumps(sample(verdict="not for use")), encoding="utf-8")
    seal(folder)
    write_model_page(project, "shapes", pytest.fail)
    assert page.read_text(encoding="utf-8") != text
    write_bundle(project.out / "shapes" / "float32", sample("float32"))
    assert "2 variants" in write_model_page(project, "shapes", pytest.fail).read_text(encoding="utf-8")


def test_a_model_page_is_the_same_whichever_engine_made_the_bundles(tmp_path: Path) -> None:
    (folder,) = write_model(tmp_path, sample())
    first = model_page([folder])
    for name, same in (("made_by", True), ("toolchains", False)):
        other = {"made_by": {}, "toolchains": {"tf2.21": {"lock_sha256": LOCK}}}[name]
        assert (model_page([seal(folder, **{name: other})]) == first) is same


@pytest.mark.parametrize("text", ["{", '{"format": 9}', '{"format": NaN}', "3"])
def test_a_folder_that_cannot_be_read_is_left_out_and_said(project: Project, text: str) -> None:
    _, spoilt = write_model(project.out, sample("int8"), sample("float32"))
    (spoilt / "report.json").write_text(text, encoding="utf-8")
    seal(spoilt)
    said: list[str] = []
    page = write_model_page(project, "shapes", said.append)
    assert "The one variant can be used." in page.read_text(encoding="utf-8")
    assert len(said) == 1
    assert said[0].startswith(f"left out of the report: {spoilt / 'report.json'} ")


def test_a_bundle_whose_model_was_edited_is_left_out_of_a_page_that_is_there(project: Project) -> None:
    _, edited = write_model(project.out, sample("int8"), sample("float32"))
    page = write_model_page(project, "shapes", pytest.fail)
    assert "All 2 variants can be used." in page.read_text(encoding="utf-8")
    (edited / "detect.tflite").write_bytes(b"another")
    said: list[str] = []
    write_model_page(project, "shapes", said.append)
    assert said == [f"left out of the report: {edited} is not as it was built: detect.tflite was edited"]
    assert "The one variant can be used." in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new"), [(b"</body>", b"edited</body>"), (b"sha256 of what is above: ", b"sha256 of what is above: 0")]
)
def test_a_model_page_that_was_edited_is_made_anew(project: Project, old: bytes, new: bytes) -> None:
    write_model(project.out, sample())
    page = write_model_page(project, "shapes", pytest.fail)
    whole = page.read_bytes()
    assert whole.count(old) == 1
    page.write_bytes(whole.replace(old, new))
    assert write_model_page(project, "shapes", pytest.fail).read_bytes() == whole
    Page(whole.decode()).assert_closed()


@pytest.fixture
def read(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The bundles that were read, in a project that has been built in before, whose files are older than the clock's step."""
    folders: list[str] = []

    def counted(folder: Path, *rest: Any) -> Built:
        folders.append(folder.name)
        return read_bundle(folder, *rest)

    monkeypatch.setattr("litekiln.bundles.read.read_bundle", counted)
    monkeypatch.setattr(hashing, "CLOCK_STEP", 0)
    project.state.mkdir()
    return folders


def test_the_bundles_of_a_page_that_is_up_to_date_are_not_read_again(project: Project, read: list[str]) -> None:
    _, edited = write_model(project.out, sample("int8"), sample("float32"))
    whole = write_model_page(project, "shapes", pytest.fail).read_bytes()
    write_model_page(project, "shapes", pytest.fail)
    read.clear()
    assert write_model_page(project, "shapes", pytest.fail).read_bytes() == whole
    assert read == []
    model = edited / "detect.tflite"
    data, status = model.read_bytes(), model.stat()
    model.write_bytes(data[::-1])
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    for _ in range(2):  # what is wrong is told each time
        said: list[str] = []
        write_model_page(project, "shapes", said.append)
        assert said == [f"left out of the report: {edited} is not as it was built: detect.tflite was edited"]
    model.write_bytes(data)
    assert write_model_page(project, "shapes", pytest.fail).read_bytes() == whole
    assert "a word" in write_model_page(project, "shapes", pytest.fail, ["a word"]).read_text(encoding="utf-8")


def test_a_model_page_is_made_anew_by_other_code(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(project.out, sample())
    first = write_model_page(project, "shapes", pytest.fail).stat().st_ino
    assert len(code_hash()) == 64
    monkeypatch.setattr("litekiln.bundles.page.code_hash", lambda: "0" * 64)
    assert write_model_page(project, "shapes", pytest.fail).stat().st_ino != first


# Plots


def test_bars_have_their_numbers_and_their_words() -> None:
    chart = bars("Time", [("a", [1.0, 2.5]), ("b", [None, 3.0])], ["one", "two"], "ms")
    assert chart
    assert (chart.title, chart.legend) == ("Time, ms", ("one", "two"))
    assert chart.text == "a: one 1, two 2.5; b: one not measured, two 3"
    for wanted in (">2.5<", ">3<", ">a<", ">b<"):
        assert wanted in chart.svg


@pytest.mark.parametrize("rows", [[], [("a", [None])], [("a", [float("nan")])], [("a", [float("inf")])]])
def test_without_numbers_there_is_no_plot(rows: list[Any]) -> None:
    assert bars("Time", rows, [""], "ms") is None


def test_dots_that_lie_together_share_a_label() -> None:
    chart = cloud("Size", [("int8", 1.0, 0.9), ("int8-io", 1.001, 0.9), ("float32", 3.0, 0.95)], "MB", "mAP")
    assert chart
    assert "int8, int8-io" in chart.svg
    assert ">int8<" not in chart.svg
    assert cloud("Size", [("int8", 1.0, 0.9)], "MB", "mAP") is None


def test_a_plot_brings_no_style_script_or_date() -> None:
    chart = bars("Time", [("<b>&", [1.0])], [""], "ms")
    assert chart
    for unwanted in ("<style", "<script", "style=", "<!--", "kozea", " id=", "<b>", "xmlns"):
        assert unwanted not in chart.svg


def test_long_names_keep_what_tells_them_apart() -> None:
    assert shortened(["net/block/one/conv;net/fused", "net/block/two"]) == ["one/conv", "two"]
    assert shortened(["net/block/one"]) == ["one"]
    assert shortened([]) == []
    assert (clipped("x" * 40), clipped("y" + "x" * 40)) == ("x" * 40, "…" + "x" * 39)


def test_the_plotting_library_leaves_imports_as_they_were() -> None:
    assert bars("Time", [("a", [1.0])], [""], "ms")
    assert "pygal" in sys.modules
    assert [hook for hook in sys.meta_path if type(hook).__module__ == "pygal"] == []
