import copy
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.exceptions import Exit

from litekiln import __version__
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_value import report_value
from litekiln.commands.build import build
from litekiln.commands.prepare import BuildRequest
from litekiln.commands.runner import run_command
from litekiln.commands.verify import VerifyRequest, verify
from litekiln.errors import CalibrationError, DownloadFailed, LitekilnError, StepFailed, StepRefused, UsageError
from litekiln.hashing import sha256_bytes
from litekiln.paths import Project
from litekiln.plan.build_plan import plan_build
from litekiln.plan.plan import Plan, Step
from litekiln.recipes.pins import Archive, Remote
from litekiln.recipes.recipe import load_recipe
from litekiln.run.schedule import Finished, Run
from litekiln.run.write_report import build_report, chosen_attempt
from litekiln.terminal import Reporter
from tests.helpers.building import COMMAND, STEPS, VERIFY
from tests.helpers.reports import SUSPICION, agreement, sample, traced
from tests.helpers.running import ThisPython, write_program
from tests.helpers.user_files import write_coco
from tests.unit.recipes.test_picture_sets import draw, numbered, write_set
from tests.unit.run.test_schedule import add_toolchain

CALIBRATE = """
names = args.get("pictures") or protocol.read_json("in/pictures/index.json")["pictures"]
seen = [{"name": name, "sha256": protocol.sha256_file(os.path.join("in/pictures", name))} for name in names]
warnings = ["calibrated with %d pictures, fewer than 100: accuracy may suffer" % len(seen)]
return {"pictures": seen, "seed": args["seed"], "random": False, "warnings": warnings, "tensorflow": "0"}
"""


def write_detection_steps(project: Project, **bodies: str) -> None:
    """Programs that leave what the real ones leave, in no time."""
    programs = {**STEPS, "calibrate.py": CALIBRATE, "convert_integer.py": STEPS["convert_float.py"]}
    for name, body in programs.items():
        write_program(project, bodies.get(name.removesuffix(".py"), body), name)


def write_recipe(
    project: Project,
    *variants: str,
    toolchains: list[str] | None = None,
    source: str = 'folder = "source"',
    calibration: str = "",
    evaluation: str = "",
) -> None:
    sets = {"calibration": calibration, "evaluation": evaluation}
    lines = [
        '[source]\nkind = "tf2-detection"\nlicense = "Apache-2.0"',
        source,
        '[export]\ntoolchain = "tiny"',
        f"[convert]\ntoolchains = {json.dumps(toolchains or ['tiny'])}\nvariants = {json.dumps(variants)}",
        '[labels]\nfile = "labels.txt"',
        *(f'[{name}]\nset = "{value}"' for name, value in sets.items() if value),
    ]
    (project.models / "demo" / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


# The report, of results that are made up


SAMPLE, AGREEMENT = sample("int8"), agreement()
PROVEN = {"contract": SAMPLE["contract"], **{name: SAMPLE["source"][name] for name in ("weights", "overrides")}}
CONVERTED = {name: SAMPLE["file"][name] for name in ("inputs", "outputs", "operators")}
VERIFIED = {name: SAMPLE[name] for name in ("checks", "edge_tpu", "examples")}
RESULTS: dict[str, dict[str, Any]] = {
    "annotate.py": {"size": 5, "sha256": "abc", "input_type": "int8"},
    "trace_errors.py": {"int8": traced(20.0), "int16x8": traced(60.0), "note": "not of a variant"},
    "measure_speed.py": {**{name: SAMPLE[name] for name in ("speed", "xnnpack")}, "compiled": {"size": 7}},
}


class Entry:
    """Stands for a store entry."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result = result

    def result(self) -> dict[str, Any]:
        return self._result

    def made(self) -> dict[str, str]:
        return {name: each["sha256"] for name, each in self._result.items() if name.startswith("images/")}


class Results:
    """What a run of the demo's plan came to: all is well, but for what a test changes."""

    def __init__(self, project: Project, *variants: str, evaluation: str = "boxes") -> None:
        add_toolchain(project, "other")
        draw(write_set(project, 'folder = "pictures"') / "pictures", *numbered(10))
        write_coco(write_set(project, 'folder = "."', "boxes"))
        listed = variants or ("float32", "int8")
        write_recipe(project, *listed, toolchains=["tiny", "other"], calibration="photos", evaluation=evaluation)
        self.recipe = load_recipe(project, "demo")
        self.plan: Plan = plan_build(project, self.recipe)
        self.calibration: dict[str, Any] = {**SAMPLE["calibration"]}
        measured = {name: SAMPLE[name] for name in ("accuracy", "parity")}
        self.exported: dict[str, Any] = {**PROVEN, "overrides": {"resizer": "fixed"}}
        self.verified: dict[str, Any] = {**measured, "warnings": [], "suspicion": {}}
        self.failed: dict[str, LitekilnError] = {}
        self.drawn: dict[str, Any] = {}
        self.calibrated = [{"name": "0000.jpg", "sha256": sha256_bytes(b"0000.jpg")}]

    def report(self, variant: str = "int8") -> Report:
        return build_report(self.recipe, self.plan, self.run(), variant, COMMAND)

    def run(self) -> Run:
        """As a run would end: a way is taken where no step of the ways before could be made."""
        made: dict[str, Finished] = {}
        for attempts in self.plan.variants.values():
            for attempt in attempts:
                steps = self.plan.leading_to(*attempt.ends)
                made |= {step.id: self._finished(step) for step in steps if step.id not in self.failed}
                if not any(step.id in self.failed for step in steps):
                    break
                for step in steps:
                    if {each.id for each in self.plan.leading_to(step.id)} & set(self.failed):
                        made.pop(step.id, None)
        return Run(made, self.failed, None)

    def _finished(self, step: Step) -> Finished:
        return Finished(step, Entry(self._result(step)), "", 1.0, "this")  # type: ignore[arg-type]

    def _result(self, step: Step) -> dict[str, Any]:
        if step.program == "export_detection.py":
            return self.exported
        if step.program == "draw_pictures.py":
            return self.drawn
        if step.program == "calibrate.py":
            return {**self.calibration, "format": 1, "tensorflow": "0", "pictures": self.calibrated}
        if step.program == "verify.py":
            return {"variant": step.args["variant"], **VERIFIED, **self.verified}
        return RESULTS.get(step.program, {"tensorflow": f"of {step.toolchain}", **CONVERTED})


@pytest.fixture
def results(project: Project) -> Results:
    return Results(project)


def _text(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True)


def test_all_is_well(results: Results) -> None:
    report = results.report()
    assert (report.verdict, report.warnings) == ("ok", [])
    assert report_value(report)["calibration"] == SAMPLE["calibration"]
    assert report_value(report)["file"] == {**CONVERTED, "size": 5, "sha256": "abc"}
    source = {"license": "Apache-2.0", "weights": SAMPLE["source"]["weights"], "overrides": {"resizer": "fixed"}}
    assert report_value(report)["source"] == source
    assert (report.model, report.variant, report.format) == ("demo", "int8", 2)
    assert report.reproduce == "inv build --model demo --variant int8"


def test_what_the_last_steps_found_is_the_reports(results: Results) -> None:
    results.verified["suspicion"] = SUSPICION
    value = report_value(results.report())
    assert value["checks"] == SAMPLE["checks"]
    assert value["parity"] == {**SAMPLE["parity"], "set": "boxes"}
    assert (value["accuracy"], value["agreement"]) == (SAMPLE["accuracy"], {})
    assert (value["suspicion"], value["examples"]) == (SUSPICION, SAMPLE["examples"])
    assert value["edge_tpu"] == {**SAMPLE["edge_tpu"], "compiled": {"size": 7}}
    assert value["xnnpack"] == SAMPLE["xnnpack"]
    note = "measured on this machine; a Raspberry Pi has another processor, and other times"
    assert value["speed"] == {**SAMPLE["speed"], "note": note}


def test_the_text_is_what_the_steps_found_to_the_byte(results: Results) -> None:
    """Fields that a step leaves out are absent, null is null, and a number has the digits that it had."""
    value = {**SAMPLE, "model": "demo", "litekiln": __version__, "reproduce": "inv build --model demo --variant int8"}
    value["source"] = {"license": "Apache-2.0", "weights": SAMPLE["source"]["weights"], "overrides": {"resizer": "fixed"}}
    value["file"] = {**CONVERTED, "size": 5, "sha256": "abc"}
    taken = {"toolchain": "tiny", "outcome": "taken"}
    value["conversion"] = {"toolchain": "tiny", "tensorflow": "of tiny", "attempts": [taken]}
    value["parity"] = {**SAMPLE["parity"], "set": "boxes"}
    value["errors"] = traced(20.0)
    value["edge_tpu"] = {**SAMPLE["edge_tpu"], "compiled": {"size": 7}}
    value["speed"] = {**SAMPLE["speed"], "note": "measured on this machine; a Raspberry Pi has another processor, and other times"}
    assert _text(report_value(results.report())) == _text(value)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda found: found.exported.update(contract={}), "Object missing required field `height` - at `$.contract`"),
        (lambda found: found.verified["accuracy"].update(map="0.9"), "Expected `float`, got `str` - at `$.accuracy.map`"),
        (
            lambda found: found.verified["parity"]["raw"][1].update(median=0.1),
            "Object contains unknown field `median` - at `$.parity.raw[1]`",
        ),
    ],
)
def test_what_no_report_can_hold_is_refused_with_its_place(
    results: Results, spoil: Callable[[Results], object], message: str
) -> None:
    results.verified = copy.deepcopy(results.verified)
    spoil(results)
    with pytest.raises(StepFailed) as caught:
        results.report()
    assert caught.value.what == f"the report of demo/int8 could not be written: {message}"
    assert "litekiln/bundles/report_format.py" in caught.value.cause
    assert caught.value.remedy


def test_an_agreement_names_the_pictures_it_was_found_on(project: Project) -> None:
    results = Results(project, evaluation="")
    del results.verified["accuracy"]
    results.verified["agreement"] = AGREEMENT
    value = report_value(results.report())
    assert (value["accuracy"], value["agreement"]) == ({}, {**AGREEMENT, "set": "photos"})


@pytest.mark.parametrize(
    ("variant", "found"),
    [
        ("int8", traced(20.0)),
        ("int8-io", traced(20.0)),
        ("int8-raw", traced(20.0)),
        ("int16x8", traced(60.0)),
        ("float32", {}),
    ],
)
def test_where_an_error_comes_from_is_told_of_what_computes_alike(project: Project, variant: str, found: dict[str, Any]) -> None:
    results = Results(project, "float32", "int8", "int8-io", "int8-raw", "int16x8")
    assert report_value(results.report(variant))["errors"] == found


def test_float32_has_no_calibration(results: Results) -> None:
    report = results.report("float32")
    assert (report.verdict, report.calibration, report_value(report)["calibration"]) == ("ok", None, {})


def test_a_warning_of_the_calibration_is_the_reports(results: Results) -> None:
    results.calibration["warnings"] = ["3 pictures can't be read"]
    assert (results.report().verdict, results.report().warnings) == ("ok, with warnings", ["3 pictures can't be read"])
    assert results.report("float32").verdict == "ok"


def test_a_warning_of_verify_is_the_reports_after_those_of_earlier_steps(results: Results) -> None:
    results.calibration["warnings"] = ["3 pictures can't be read"]
    results.verified["warnings"] = ["loses 1 points of mAP against float32; more than 0.6 is worth a look"]
    report = results.report()
    assert report.verdict == "ok, with warnings"
    assert report.warnings == ["3 pictures can't be read", *results.verified["warnings"]]


def test_a_picture_in_both_sets_is_told_of_the_variants_that_were_calibrated_with_it(results: Results) -> None:
    results.calibrated += [{"name": "copy.png", "sha256": sha256_bytes(name.encode())} for name in ("a.jpg", "b.jpg")]
    report = results.report("int8")
    assert report.verdict == "ok, with warnings"
    [warning] = report.warnings
    assert warning == (
        "2 evaluation pictures were also calibrated with: images/a.jpg, images/b.jpg. "
        "On new pictures mAP may be lower: choose others for one of the two sets"
    )
    assert results.report("float32").warnings == []


def test_drawn_pictures_may_be_in_both_sets_too(project: Project) -> None:
    folder = write_set(project, 'generator = "draw.py"\ncount = 10', "drawn")
    (folder / "draw.py").write_text("", encoding="utf-8")
    results = Results(project, evaluation="drawn")
    results.drawn = {"images/0.png": {"sha256": sha256_bytes(b"0000.jpg")}, "images/1.png": {"sha256": "1"}}
    [warning] = results.report("int8").warnings
    assert warning.startswith("1 evaluation picture was also calibrated with: images/0.png. ")
    results.calibrated = [{"name": "noise 0", "sha256": ""}]
    assert results.report("int8").warnings == []


def test_without_an_evaluation_set_the_calibration_pictures_are_compared_on(project: Project) -> None:
    results = Results(project, evaluation="")
    assert results.report("int8").warnings == []


def test_noise_is_not_for_use_however_well_it_scores(results: Results) -> None:
    results.calibration |= {"random": True, "warnings": []}
    assert results.report().verdict == "not for use"
    results.verified["warnings"] = ["loses 60 points of mAP against float32, the limit is 1.5"]
    assert results.report().verdict == "not for use"
    assert results.report("float32").verdict == "ok, with warnings"


def test_without_any_picture_nothing_is_claimed(project: Project) -> None:
    results = Results(project, evaluation="")
    results.verified = {"warnings": ["was compared with its source on no picture: there are none"]}
    report = results.report()
    assert [report.accuracy, report.agreement, report.parity, report.suspicion] == [None] * 4
    assert [report_value(report)[name] for name in ("accuracy", "agreement", "parity", "suspicion")] == [{}] * 4
    assert report.verdict == "ok, with warnings"


def test_what_can_be_held_against_no_float32_is_not_made(results: Results) -> None:
    results.failed = {name: StepFailed(f"{name} failed") for name in ("convert float32", "convert float32 (other)")}
    assert chosen_attempt(results.plan, results.run(), "int8") is None


def _story(report: Report) -> list[tuple[str, str]]:
    return [(each.toolchain, each.outcome) for each in report.conversion.attempts]


def test_the_story_of_a_refusal(results: Results) -> None:
    results.failed["convert int8"] = StepRefused("convert int8: no PostProcess op\n  | a traceback", cause="x")
    report = results.report()
    assert (report.conversion.toolchain, report.conversion.tensorflow) == ("other", "of other")
    assert _story(report) == [("tiny", "convert int8: no PostProcess op"), ("other", "taken")]
    assert _story(results.report("float32")) == [("tiny", "taken")]


def test_a_story_may_begin_with_what_was_found_after_the_conversion(results: Results) -> None:
    results.failed["verify int8"] = StepRefused("verify int8: an output of shape [0]")
    assert _story(results.report())[0] == ("tiny", "verify int8: an output of shape [0]")


def test_without_float32_of_its_toolchain_the_next_makes_both(results: Results) -> None:
    results.failed["convert float32"] = StepRefused("convert float32: Flex ops")
    told = [("tiny", "convert float32: Flex ops"), ("other", "taken")]
    assert [_story(results.report(variant)) for variant in ("float32", "int8")] == [told] * 2


@pytest.mark.parametrize("step", ["measure int8", "trace"])
def test_a_variant_is_not_made_before_its_last_steps_are(results: Results, step: str) -> None:
    results.failed[step] = StepFailed(f"{step} failed")
    attempt = chosen_attempt(results.plan, results.run(), "int8")
    assert attempt
    assert attempt.toolchain == "other"
    assert _story(results.report())[0] == ("tiny", f"{step} failed")


def test_what_was_made_in_no_way_has_no_attempt(results: Results) -> None:
    results.failed = {"export": StepFailed("export failed")}
    assert [chosen_attempt(results.plan, results.run(), variant) for variant in ("float32", "int8", "int4")] == [None] * 3


# A whole build, of programs that take no time

PIN = "0" * 64


@pytest.fixture
def kiln(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """float32 and int8, whose calibration pictures are on a server that doesn't answer."""
    folder = write_set(
        project, 'url = "https://litekiln.invalid/coco.zip"\nsha256 = "first-use"\npinned = "list"\nlicense = "x"', "coco"
    )
    (folder / "list").write_text(f"{PIN} 5 a.jpg\n")
    write_recipe(project, "float32", "int8", calibration="coco")
    write_detection_steps(project)

    def fetch(remote: Remote, downloads: Path, **_: Callable[..., None]) -> Archive:
        msg = f"{remote.url}: the connection failed: no route to host"
        raise DownloadFailed(msg, cause="no network", remedy="check the network")

    monkeypatch.setattr("litekiln.run.host_steps.fetch", fetch)
    monkeypatch.setattr("litekiln.run.session._engine", lambda name, project, lease, reporter: ThisPython(lease))
    monkeypatch.chdir(project.work)
    return project


def _build(project: Project, **changed: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"variants": [], "engine": "auto", "calib": "", "jobs": 2, "force": False, "dry_run": False}
    return build(Reporter(), project, BuildRequest("demo", **(options | changed)))


NOT_HAD = (
    "the calibration pictures of coco could not be fetched: "
    "https://litekiln.invalid/coco.zip: the connection failed: no route to host"
)


def test_without_the_calibration_pictures_the_float_variants_are_built(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CalibrationError) as caught:
        _build(kiln)
    assert (caught.value.what, caught.value.exit_code) == (NOT_HAD, 11)
    assert caught.value.cause == "no network"
    assert "give pictures of your own, 100 or more: --calib DIR" in caught.value.remedy
    assert caught.value.details == {"made": ["float32"], "not_made": ["int8"]}
    assert sorted(path.name for path in (kiln.out / "demo").iterdir()) == ["float32", "report.html"]
    out = capfd.readouterr().out
    assert "✗ int8  not made, because fetch coco failed\n" in out
    assert "! not made: int8\n" in out

    mine = draw(kiln.work / "mine", *numbered(12))
    made = _build(kiln, calib=str(mine))
    assert [bundle["variant"] for bundle in made["bundles"]] == ["float32", "int8"]
    assert [bundle["verdict"] for bundle in made["bundles"]] == ["ok", "ok, with warnings"]
    again = {step["id"] for step in made["steps"] if step["reason"]}
    calibrated = {"calibrate", "convert int8", "annotate int8", "verify int8", "measure int8", "trace"}
    assert again == {*calibrated, "source on mine", "verify float32", "measure float32"}
    assert "! calibrated with 12 pictures, fewer than 100: accuracy may suffer\n" in capfd.readouterr().out


@pytest.fixture
def _sigterm() -> Iterator[None]:
    """A command takes SIGTERM over; a test gives it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_sigterm")
def test_a_program_is_told_what_was_made_and_what_not(kiln: Project, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit) as caught:
        run_command(build, BuildRequest("demo", jobs=1), as_json=True)
    assert caught.value.code == 11
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert (told["error"], told["exit_code"], told["what"]) == ("CalibrationError", 11, NOT_HAD)
    assert (told["made"], told["not_made"]) == (["float32"], ["int8"])
    assert "--calib DIR" in told["remedy"]
    assert "! not made: int8\n" in err


@pytest.fixture
def evaluated(kiln: Project) -> Project:
    """Its pictures are here, and some have boxes."""
    write_coco(write_set(kiln, 'folder = "."', "boxes"))
    draw(write_set(kiln, 'folder = "pictures"') / "pictures", *numbered(10))
    write_recipe(kiln, "float32", "int8", calibration="photos", evaluation="boxes")
    return kiln


def test_a_warning_is_told_with_its_variant(evaluated: Project, capfd: pytest.CaptureFixture[str]) -> None:
    accuracy = {**SAMPLE["accuracy"], "map": 0.6}
    found = f"'accuracy': {accuracy}, 'warnings': ['loses 1 points of mAP against float32']"
    write_detection_steps(evaluated, verify=VERIFY.replace("'checks'", f"{found}, 'checks'"))
    made = _build(evaluated, variants=["int8"])
    assert [(bundle["variant"], bundle["verdict"]) for bundle in made["bundles"]] == [("int8", "ok, with warnings")]
    assert made["bundles"][0]["accuracy"] == accuracy
    out = capfd.readouterr().out
    assert "! int8 loses 1 points of mAP against float32\n" in out
    assert "! calibrated with 10 pictures" in out
    report = json.loads((evaluated.out / "demo" / "int8" / "report.json").read_text())
    assert report["warnings"][1:] == ["loses 1 points of mAP against float32"]
    assert sorted(path.name for path in (evaluated.out / "demo").iterdir()) == ["int8", "report.html"]


def test_what_verify_refuses_is_not_bundled(evaluated: Project, capfd: pytest.CaptureFixture[str]) -> None:
    lost = "int8 loses 10 points of mAP against float32, the limit is 1.5"
    write_detection_steps(evaluated, verify=f'if args["variant"] == "int8":\n    raise protocol.Refused({lost!r})\n{VERIFY}')
    with pytest.raises(StepRefused) as caught:
        _build(evaluated)
    assert (caught.value.what, caught.value.exit_code) == (f"verify int8: {lost}", 6)
    told = caught.value.details
    assert {name: told[name] for name in ("made", "not_made")} == {"made": ["float32"], "not_made": ["int8"]}
    assert str(told["log"]).endswith("log.txt")
    assert f"✗ verify int8  {lost}\n" in capfd.readouterr().out
    assert sorted(path.name for path in (evaluated.out / "demo").iterdir()) == ["float32", "report.html"]


def _verify(project: Project) -> dict[str, Any]:
    return verify(Reporter(), project, VerifyRequest("demo", ["int8"]))


def test_verify_never_puts_the_recipes_file_in_the_place_of_another(evaluated: Project) -> None:
    _build(evaluated, variants=["int8"], keep_float=["some/conv"])
    report = evaluated.out / "demo" / "int8" / "report.json"
    built = report.read_bytes()
    with pytest.raises(UsageError) as caught:
        _verify(evaluated)
    typed = "inv build --model demo --keep-float some/conv --variant int8"
    assert caught.value.what == f"out/demo/int8 was built by another command: {typed}"
    assert caught.value.remedy == "run that command again, it also verifies; or first: inv build --model demo --variant int8"
    assert report.read_bytes() == built


def test_verify_makes_the_models_page_anew(evaluated: Project) -> None:
    _build(evaluated, variants=["int8"])
    page = evaluated.out / "demo" / "report.html"
    was = page.read_bytes()
    page.unlink()
    assert list(_verify(evaluated)["variants"]) == ["int8"]
    assert page.read_bytes() == was
