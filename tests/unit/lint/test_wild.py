"""The verdict on files that people published: every rule and its level, against what each folder's README says is true of it.

The files are fixtures, $LITEKILN_FIXTURES/wild. Where these are missing, the tests are listed as not run.
"""

import os
from pathlib import Path

import pytest

from litekiln.commands.lint import NAMES
from litekiln.lint.examine import examine, look_into
from litekiln.lint.subject import Subject

SSD = "SSD detector"
# The notes that TF1's converter earns: its files are sound.
OLD = {"output-shape": "note", "signature-missing": "note", "uint8-inside": "note"}
# folder: (what it is, what its README says, the labels to give, every finding with its level)
VERDICTS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "t02_simplecar_tm_quant": (
        "classifier",
        'needs a Coral; labels "0 x"',
        "",
        {"custom-ops": "warning", "labels-beside": "note", "metadata-missing": "note"},
    ),
    "t04_ai_trashcan": ("classifier", "sound", "", {"dynamic-shapes": "note", "metadata-missing": "note"}),
    "t10_yolov8_plate_int8": ("YOLO26n", "metadata.json inside", "", {"dynamic-range": "note"}),
    "t23_blazepose_pinto_int8": (
        "MediaPipe detector (as BlazePose)",
        "sound",
        "",
        {"dynamic-shapes": "note", "metadata-missing": "note"},
    ),
    "t29_fomo_safegear": (
        "FOMO",
        "sound",
        "",
        {"labels-beside": "note", "labels-length": "note", "metadata-missing": "note"},  # five names for its four maps
    ),
    "t38_gotflite_ssd": (
        SSD,
        "program adds 1: sound",
        "",
        {**OLD, "labels-offset": "warning", "labels-beside": "note", "metadata-missing": "note"},
    ),
    "t39_containers": (
        "classifier",
        "sound",
        "containers_labels.txt",
        {"dynamic-shapes": "note", "labels-beside": "note", "metadata-missing": "note"},
    ),
    "t41_fish_edgetpu": (
        SSD,
        "dead; needs a Coral",
        "fish-labels.txt",
        {
            "default-ranges": "error",
            "custom-ops": "warning",
            "labels-length": "warning",
            "labels-beside": "note",
            "metadata-missing": "note",
            "signature-missing": "note",
        },
    ),
    "t42_aryan_pi": ("classifier", "sound", "", {"dynamic-shapes": "note", "uint8-input": "note"}),
    "t44_nokia": (SSD, "shifted for metadata readers; app adds 1", "", {**OLD, "labels-offset": "error"}),
    "t46_nokia_old_model": (
        "classifier",
        "labels of another model",
        "",
        {"labels-length": "error", "labels-beside": "note", "metadata-missing": "note", "uint8-inside": "note"},
    ),
    "t49_odcr_quant_md": (
        SSD,
        "calibrated 0..1",
        "",
        {
            "input-range": "error",
            "output-order": "warning",
            "output-shape": "note",
            "signature-names": "note",
            "uint8-input": "note",
        },
    ),
    "t59_coral_movenet_edgetpu": ("MoveNet", "needs a Coral", "", {"custom-ops": "warning", "metadata-missing": "note"}),
    "t63_tfs_score_calib": (SSD, "sound", "", OLD),
    "t68_micro_person_vela": (
        "classifier",
        "needs an Ethos-U",
        "",
        {"custom-ops": "warning", "input-shape": "note", "metadata-missing": "note"},
    ),
    "y05_omenx_full": ("YOLOv8n", "metadata.json inside", "", {}),
    "y09_fire_edgetpu": ("YOLOv8n", "calibrated with ImageNet range", "", {"input-range": "error", "custom-ops": "warning"}),
}
SAYS = {  # what the finding that matters says
    "t02_simplecar_tm_quant": "it only runs on a Coral Edge TPU",
    "t41_fish_edgetpu": "the encoded boxes are uint8 with scale 1 at zero point 0, so none of their numbers can be negative",
    "t44_nokia": "dict.txt in the file begins with 'background' (15 names for 14 classes)",
    "t46_nokia_old_model": "has 4 names for 33 classes",
    "t49_odcr_quant_md": "pixels from 0 to 1; an SSD is trained with -1 to 1",
    "t68_micro_person_vela": "it only runs on an Arm Ethos-U NPU",
    "y09_fire_edgetpu": "YOLOv8n is trained with 0 to 1, which uses 55 of 256 codes",
}


@pytest.fixture(scope="module")
def wild() -> Path:
    if "LITEKILN_FIXTURES" not in os.environ:
        pytest.skip("not run: LITEKILN_FIXTURES is not set")
    folder = Path(os.environ["LITEKILN_FIXTURES"]) / "wild"
    if not folder.is_dir():
        pytest.skip("not run: LITEKILN_FIXTURES has no folder wild")
    return folder


def _looked_into(folder: Path, labels: str = "") -> Subject:
    [path] = folder.glob("*.tflite")
    return look_into(path, folder / labels if labels else None)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_truth(wild: Path, name: str) -> None:
    called, truth, labels, levels = VERDICTS[name]
    assert f"truth: {truth}" in (wild / name / "README").read_text(encoding="utf-8").splitlines()
    subject = _looked_into(wild / name, labels)
    findings = examine(subject)
    assert (subject.family.name if subject.family else NAMES[subject.kind]) == called
    assert {each.id: each.severity.word for each in findings} == levels
    assert len(findings) == len(levels)
    assert SAYS.get(name, "") in "; ".join(each.evidence for each in findings)
    if truth in ("sound", "metadata.json inside"):
        assert set(levels.values()) <= {"note"}


def test_no_file_is_left_out(wild: Path) -> None:
    assert {path.parent.name for path in wild.glob("*/*.tflite")} == set(VERDICTS)


def test_no_remedy_promises_a_repair_that_is_refused(wild: Path) -> None:
    for name in VERDICTS:
        subject = _looked_into(wild / name)
        findings = examine(subject)
        if not subject.repairable or any(each.id == "default-ranges" for each in findings):
            assert [each.id for each in findings if each.fix or "--fix OUT" in each.remedy] == [], name
