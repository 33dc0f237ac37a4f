"""What a verdict means, in one plain sentence, and what to do about it."""

from dataclasses import dataclass

from litekiln.bundles.figures import percent, points, points_lost
from litekiln.bundles.report_format import Report
from litekiln.bundles.report_measures import given

GOOD, CAREFUL, BAD = "good", "careful", "bad"
MARKS = {GOOD: "✓", CAREFUL: "!", BAD: "✗"}


@dataclass(frozen=True)
class Said:
    """A verdict in words. `kind` is one of GOOD, CAREFUL, BAD."""

    kind: str
    title: str
    sentence: str
    remedies: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        return MARKS[self.kind]


def say(report: Report) -> Said:
    match report.verdict:
        case "ok":
            return Said(GOOD, "You can use it", _good(report))
        case "ok, with warnings":
            return Said(CAREFUL, "You can use it, with care", f"{_good(report)} Read the warnings first.", _remedies(report))
        case "not for use":
            return Said(BAD, "Don't use it", _unusable(report), _remedies(report))
        case "over its limit":
            return Said(BAD, "It lost too much", _over(report), _remedies(report))


def _good(report: Report) -> str:
    """What was measured, and no more."""
    parity, accuracy = given(report.parity.detections) if report.parity else None, report.accuracy
    if parity and given(parity.limit) is not None and parity.ok is not False and parity.source:
        first = f"This file finds {parity.matched} of {parity.source} things that its source finds in the same pictures"
        end = f", and has {accuracy.map:.3f} mAP{_against(report)}." if accuracy else "."
        return first + end
    if accuracy:
        return f"This file has {accuracy.map:.3f} mAP on {_pictures(report)}{_against(report)}."
    if report.agreement:
        share = percent(report.agreement.share)
        return f"This file agrees with {report.agreement.with_} in {share} of all detections. Accuracy was not measured."
    if report.parity:
        return "This file's outputs match those of its source, within the limits below."
    return "This file has the expected inputs and outputs. Accuracy was not measured."


def _against(report: Report) -> str:
    lost = points_lost(report)
    if lost is None:
        return ""
    return ", no less than float32" if round(lost, 1) <= 0 else f", {points(lost)} points less than float32"


def _pictures(report: Report) -> str:
    protocol = report.accuracy.protocol if report.accuracy else None
    return f"{protocol.pictures} pictures" if protocol else "the evaluation set"


def _unusable(report: Report) -> str:
    if report.calibration and report.calibration.random:
        return "Its number ranges were measured on noise instead of pictures. Use it only to try the tools."
    return "Something about it is wrong: the warnings and checks below say what."


def _over(report: Report) -> str:
    accuracy = report.accuracy
    if accuracy and accuracy.within_limit is False:
        lost, limit = given(accuracy.drop_points), given(accuracy.limit_points)
        if lost is not None and limit is not None:
            return f"It has {accuracy.map:.3f} mAP, {points(lost)} points less than float32; {limit:g} are allowed."
    parity = given(report.parity.detections) if report.parity else None
    if parity and parity.ok is False:
        return f"It finds only {parity.matched} of {parity.source} things that its source finds in the same pictures."
    if report.parity and any(each.ok is False for each in report.parity.raw):
        return "Its outputs differ from its source's by more than the limit."
    if report.agreement and not report.agreement.ok:
        return f"It agrees with {report.agreement.with_} in only {percent(report.agreement.share)} of all detections."
    return "It lost more than its recipe allows."


def _remedies(report: Report) -> tuple[str, ...]:
    """What to do, the most likely remedy first."""
    name, found = report.model, []
    if report.calibration and report.calibration.random:
        found.append(f"Give real pictures: inv build --model {name} --variant {report.variant} --calib DIR")
    if report.suspicion and report.suspicion.likely:
        found.append(f"The likely mistake: {report.suspicion.likely}. Fix that in models/{name}/model.toml and build again.")
    advice = given(report.errors.advice) if report.errors else None
    if report.verdict == "over its limit" and advice:
        found.append(sentence(advice))
    if report.calibration and not report.calibration.random and report.calibration.warnings:
        found.append("Check the calibration pictures: use 100 or more different ones of what the model will see.")
    if report.verdict == "over its limit" and not found:
        found.append("Use another variant (int16x8 or float16 lose less), or calibrate with more pictures like those it will see.")
    return tuple(found)


def sentence(text: str) -> str:
    """A note with a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?" else ".")


def missing(report: Report, section: str) -> str:
    """Why a section is empty, in a few words."""
    tensors = report.contract.outputs == "tensors"
    integer = report.variant.startswith(("int", "uint8"))
    reasons = {
        "examples": "This build had no pictures.",
        "parity": "This build did not compare the file with its source.",
        "accuracy": "It returns plain tensors, whose meaning is not known: accuracy could not be measured."
        if tensors
        else "There was no evaluation set. Give one with inv new --eval DIR: pictures with ground truth.",
        "calibration": "This variant's integer ranges come from its training or its publisher: no pictures were needed."
        if integer
        else "This variant computes in float: it needs no calibration pictures.",
        "errors": "This build did not measure where the error comes from."
        if integer
        else "This variant computes in float: it has no error from integers.",
        "checks": "This build kept no list of its checks.",
        "speed": "Speed was not measured in this build.",
        "xnnpack": "Not checked in this build.",
        "edge_tpu": "Not checked in this build.",
    }
    return reasons[section]
