"""Compare a finished model with its source, its contract and its limits. A model that breaks a limit is refused.

If the interpreter crashes, this program ends and the host reports it: models run only here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import protocol

from detection import boxes, pictures
from judging import edge_tpu, parity, picture_names, suspicion
from tflite_file import contract_checks, flat, opened, packed_metadata, variants

if TYPE_CHECKING:
    from judging.accuracy import EvaluationSet
    from judging.observations import Observations
    from judging.suspicion import Detect

JUDGED = "judged.json"  # for the variants that are compared with this one
POINTS = 100  # mAP is a share, and people speak of points
SUSPICIOUS = 5.0  # a larger loss in points is a mistake, not rounding
POOR = 0.5  # below this mAP of the reference itself, the usual mistakes are tried
NEXT_TO_NOTHING = 0.02  # mAP@.5
ALIKE, SCORE = 0.5, 0.3  # the minimum IoU to count as the same box, and the lowest score of a detection that counts
# Two variants are compared on as many pictures as fit into so many pixels. 16 bits take many times as long.
PIXELS, PIXELS_OF_16_BITS = 128 * 320 * 320, 16 * 320 * 320
FEWEST, MOST = 8, 128
MOST_NAMES = 5  # so many are shown
LABELS = "labelmap.txt"


def verify(args: dict[str, Any]) -> dict[str, Any]:
    """What was checked and measured, and warnings."""
    return _Verification(args).run()


class _Verification:
    """One model: its bundle, its contract, the pictures at hand."""

    def __init__(self, args: dict[str, Any]) -> None:
        self._args, self._limits = args, args["limits"]
        self._form = variants.of(args)
        self._variant = self._form.name
        self._bundle, self._folder = protocol.input_path("bundle"), protocol.input_path("pictures")
        self._contract = protocol.read_json(os.path.join(protocol.input_path("exported"), "contract.json"))
        with open(os.path.join(self._bundle, LABELS), encoding="utf-8") as stream:
            self._labels = stream.read().splitlines()
        self._warnings: list[str] = []
        self._suspicion: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        told: dict[str, Any] = {"variant": self._variant, **self._check_contract()}
        if not os.path.exists(self._folder):
            return dict(told, warnings=["could not be compared with its source: no pictures available"])
        from judging import observations

        # Full TensorFlow's interpreter only where the model needs its operators: the interpreter alone starts faster.
        self._full = any(each["id"] == "no-flex" and each["found"] != "none" for each in told["checks"])
        self._detector = opened.detector(self._bundle, self._contract, self._full)
        source = observations.Observations(protocol.input_path("observed"))
        told["parity"] = self._compare_with_source(source)
        if self._detector.detects:
            told.update(self._judge())
            from judging import examples

            told["examples"] = examples.show(self._detector, source, self._folder, self._labels)
            examples.record(self._detector, told["examples"])
        return dict(told, warnings=self._warnings, suspicion=self._suspicion)

    def _check_contract(self) -> dict[str, Any]:
        with open(os.path.join(self._bundle, "detect.tflite"), "rb") as stream:
            data = stream.read()
        model = flat.read(bytearray(data))
        packed, _ = packed_metadata.read(model, data)
        names = self._output_names()
        flex, keep = self._args.get("allow_flex"), self._args.get("keep_float", ())
        checks = list(contract_checks.of_graph(model, self._form, self._contract, names, flex, keep))
        checks += contract_checks.of_words(model, self._contract, self._labels, packed)
        contract_checks.require(checks)
        return {"checks": contract_checks.as_data(checks), "edge_tpu": edge_tpu.judge(model)}

    def _output_names(self) -> tuple[str, ...]:
        kind = self._contract["outputs"]
        if kind == "tensors":
            return tuple(self._contract["names"])
        raw = kind == "raw" or (kind == "postprocess" and self._form.raw)
        return flat.RAW_OUTPUTS if raw else flat.DETECTION_OUTPUTS

    def _compare_with_source(self, source: Observations) -> dict[str, Any]:
        told = parity.compare(self._detector, source, self._folder, self._limits)
        problem = parity.problem(self._variant, told)
        if problem:
            why = ""
            if self._detector.detects:
                likeness = _Likeness(source, self._folder, self._limits["iou"])
                why = self._suspect(likeness, likeness(self._detector.detect), "a share of equal detections of")
            self._object(problem, why)
        elif self._detector.detects and parity.is_silent(told["detections"]):
            if not all("limit" in each for each in told["raw"]):  # with limits for all of them, no detections are needed
                shown = "the source detects nothing in the %d pictures: it proves little that the file detects nothing either"
                self._warnings.append(shown % told["pictures"])
        elif self._detector.detects:
            self._warn_of_few(told["detections"]["share"], "the source's")
        return told

    def _warn_of_few(self, share: float, whose: str) -> None:
        warn = self._limits["warn_share"]
        if share < warn:
            self._warnings.append(
                "sees %.1f%% of %s detections; fewer than %g%% is worth a look" % (share * 100, whose, warn * 100)
            )

    def _judge(self) -> dict[str, Any]:
        if self._args.get("evaluation"):
            return {"accuracy": self._measure_accuracy()}
        if os.path.exists(protocol.input_path("reference_model")):
            return {"agreement": self._compare_with_reference()}
        return {}

    def _measure_accuracy(self) -> dict[str, Any]:
        from judging import accuracy

        evaluation = accuracy.EvaluationSet(self._folder)
        evaluation.check_labels(self._labels)
        scores = evaluation.score(self._detector.detect, self._labels)
        protocol.write_json(protocol.output_path(JUDGED), scores)
        sized = {name: self._contract[name] for name in ("height", "width", "resize", "max_detections")}
        lowest = self._contract.get("postprocess", {}).get("score_threshold", 0.0)  # the graph itself leaves out lower scores
        scores["protocol"] = dict(sized, pictures=scores.pop("pictures"), score_threshold=lowest, tool="pycocotools")
        if not os.path.exists(protocol.input_path("reference")):
            if scores["map"] < POOR:
                self._look_for_mistakes(evaluation, scores)
            return scores
        before = protocol.read_json(os.path.join(protocol.input_path("reference"), JUDGED))["map"]
        drop = round((before - scores["map"]) * POINTS, 2)
        most, warn = self._limits["max_map_drop"], self._limits["warn_map_drop"]
        scores.update(reference_map=before, drop_points=drop, warn_points=warn, limit_points=most, within_limit=drop <= most)
        why = self._suspect_accuracy(evaluation) if drop > SUSPICIOUS else ""
        if drop > most:
            self._object("%s loses %g points of mAP against float32, the limit is %g" % (self._variant, drop, most), why)
        elif drop > warn:
            lost = "loses %g points of mAP against float32; more than %g is worth a look" % (drop, warn)
            self._warnings.append(". ".join(each for each in (lost, why) if each))
        return scores

    def _look_for_mistakes(self, evaluation: EvaluationSet, scores: dict[str, Any]) -> None:
        """Refuse a reference, or warn of it, when it finds little because it is likely fed or read in a wrong way."""
        why = self._suspect_accuracy(evaluation)
        found, most = self._suspicion, self._limits["max_map_drop"]
        missed = round((max(each["score"] for each in found["tried"]) - found["now"]) * POINTS, 2)
        if found["likely"] and missed > most:
            shown = "%s has mAP %.3f, and %g points more when it is fed or read in another way; the limit is %g"
            self._object(shown % (self._variant, scores["map"], missed, most), why)
        elif found["likely"]:
            self._warnings.append(why)
        elif scores["map_50"] < NEXT_TO_NOTHING:
            self._warnings.append("finds almost nothing of the ground truth: mAP@.5 is %.3f. %s" % (scores["map_50"], why))
        else:
            self._suspicion = {}

    def _suspect_accuracy(self, evaluation: EvaluationSet) -> str:
        def score(detect: Detect) -> float:
            return float(evaluation.score(detect, self._labels, suspicion.PICTURES, told=False)["map"])

        return self._suspect(score, score(self._detector.detect), "mAP", self._other_names(evaluation))

    def _other_names(self, evaluation: EvaluationSet) -> Iterator[tuple[str, float]]:
        """A label map in another order, if the ground truth suggests one, and the mAP with it."""
        names = evaluation.names_by_place(self._detector.detect, self._labels, suspicion.PICTURES)
        changed = ["%s: %s" % pair for pair in zip(self._labels, names) if pair[0] != pair[1]]
        if changed:
            shown = ", ".join(changed[:MOST_NAMES]) + (", …" if len(changed) > MOST_NAMES else "")
            found = evaluation.score(self._detector.detect, names, suspicion.PICTURES, told=False)["map"]
            yield "other names for its classes (%s)" % shown, found

    def _compare_with_reference(self) -> dict[str, Any]:
        """How far it detects what float32 detects. Without ground truth there is no accuracy."""
        reference = opened.detector(protocol.input_path("reference_model"), self._contract, self._full)
        likeness = boxes.Matching(ALIKE, SCORE)
        names, counted, most = picture_names.of(self._args, self._folder), 0, self._most_pictures()
        for _, picture in picture_names.load(self._folder, names, most):
            likeness.add(reference.detect(picture), self._detector.detect(picture))
            counted += 1
            protocol.progress(counted, min(len(names), most), "pictures compared with float32")
        limit = self._limits["agreement"]
        told: dict[str, Any] = dict(likeness.as_data("detections"), **{"with": "float32", "pictures": counted, "limit": limit})
        told["ok"] = told["share"] >= limit
        if not told["ok"]:
            shown = "%s: %.1f%% of its detections and float32's are the same, the limit is %.1f%%"
            self._object(shown % (self._variant, told["share"] * 100, limit * 100), "")
        elif told["detections"]:
            self._warn_of_few(told["share"], "float32's")
        else:
            self._warnings.append("float32 detects nothing in the %d pictures: it proves little that both agree" % counted)
        return told

    def _most_pictures(self) -> int:
        pixels = PIXELS_OF_16_BITS if self._form.inside("int16") else PIXELS
        return max(FEWEST, min(MOST, pixels // int(self._contract["height"] * self._contract["width"])))

    def _suspect(self, score: Callable[[Detect], float], now: float, measure: str, others: Iterable[tuple[str, float]] = ()) -> str:
        """The likely mistake in words, found by trying. The report gets all that was tried."""

        def look(contract: dict[str, Any]) -> Detect:
            return opened.detector(self._bundle, contract, self._full).detect

        found = suspicion.investigate(self._contract, look, score, now, others)
        self._suspicion = dict(found, measure=measure)
        return suspicion.in_words(found, measure)

    def _object(self, problem: str, why: str) -> None:
        """Refuse the model, or only warn if it was calibrated with noise, which is for trials."""
        text = ". ".join(each for each in (problem, why) if each)
        if not self._args.get("noise"):
            raise protocol.Refused(text)
        self._warnings.append(text.partition(": ")[2] if text.startswith(self._variant + ": ") else text)


class _Likeness:
    """How far a way of detecting gives what the source gives."""

    def __init__(self, source: Observations, folder: str, iou: float) -> None:
        self._source, self._folder, self._iou = source, folder, iou

    def __call__(self, detect: Detect) -> float:
        matching = boxes.Matching(self._iou, SCORE)
        for place, name in enumerate(self._source.names):
            wanted = self._source.found(place)
            assert wanted is not None
            matching.add(wanted, detect(pictures.load(os.path.join(self._folder, name))))
        return matching.share


if __name__ == "__main__":
    protocol.main(verify)
