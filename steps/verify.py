"""Compare a finished model with its source, its contract and its limits. A model that breaks a limit is refused.

If the interpreter crashes, this program ends and the host reports it: models run only here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import protocol

import refusals
from detection import boxes, pictures
from judging import edge_tpu, liveness, parity, picture_names, suspicion
from tflite_file import contract_checks, flat, interpreter, opened, packed_metadata, variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detection.detector import Detector
    from judging.observations import Observations
    from judging.suspicion import Detect

ALIKE, SCORE = 0.5, 0.3  # the minimum IoU to count as the same box, and the lowest score of a detection that counts
# Two variants are compared on as many pictures as fit into so many pixels. 16 bits take many times as long.
PIXELS, PIXELS_OF_16_BITS = 128 * 320 * 320, 16 * 320 * 320
FEWEST, MOST = 8, 128
LABELS = "labelmap.txt"
LIKE_ITS_SOURCE = "its source does the same, so every toolchain would make such a file"
MEND = "mend that and build again; docs/trust.md lists the mistakes that litekiln looks for"
WHERE = "the weights, the batch normalisation's statistics or the calibration pictures"


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
        still = liveness.problem(self._detector, self._folder, source.names, self._model, self._open)
        told["parity"] = self._compare_with_source(source, still)
        if self._detector.detects:
            told.update(self._judge())
            from judging import examples

            told["examples"] = examples.show(self._detector, source, self._folder, self._labels)
            examples.record(self._detector, told["examples"])
        return dict(told, warnings=self._warnings, suspicion=self._suspicion)

    def _check_contract(self) -> dict[str, Any]:
        with open(os.path.join(self._bundle, "detect.tflite"), "rb") as stream:
            data = stream.read()
        self._model = model = flat.read(bytearray(data))
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

    def _compare_with_source(self, source: Observations, still: str) -> dict[str, Any]:
        """`still` says that what it gives doesn't depend on the picture: then even equal outputs prove nothing."""
        told = parity.compare(self._detector, source, self._folder, self._limits)
        problem = parity.problem(self._variant, told)
        if problem:
            self._object(problem, still or (self._suspect(source) if self._detector.detects else ""))
        elif still:
            self._object("%s: %s%s" % (self._variant, still[0].lower(), still[1:]), "", by_its_source=True)
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
        from judging import accuracy_verdict

        file = accuracy_verdict.File(self._bundle, self._model, self._look)
        verdict = accuracy_verdict.Verdict(self._folder, self._labels, self._contract, self._limits, file)
        reference = os.path.join(protocol.input_path("reference"), accuracy_verdict.JUDGED)
        before = protocol.read_json(reference) if os.path.exists(reference) else None
        scores = verdict.judge(self._variant, before)
        self._warnings += verdict.warnings
        self._suspicion = verdict.suspicion
        if verdict.refusal[0]:
            self._object(*verdict.refusal, by_its_source=before is None)
        return scores

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

    def _open(self) -> Any:
        """An interpreter that shows all tensors."""
        opened_file = interpreter.Interpreter(
            os.path.join(self._bundle, "detect.tflite"), full=self._full, keep=True, delegates=False
        )
        opened_file.allocate_tensors()
        return opened_file

    def _look(self, contract: dict[str, Any]) -> Detector:
        """A detector whose pictures are fed as a contract says."""
        if contract is self._contract:
            return self._detector
        return opened.detector(self._bundle, contract, self._full)

    def _detect(self, contract: dict[str, Any]) -> Detect:
        return self._look(contract).detect

    def _suspect(self, source: Observations) -> str:
        """Why it doesn't give what its source gives: the likely mistake in words, found by trying. The report gets all of it."""
        likeness = _Likeness(source, self._folder, self._limits["iou"])
        trial = suspicion.Trial(likeness.look(self._detector.detect), likeness.look, likeness.score, goal=1.0)
        measure = "a share of equal detections of"
        self._suspicion = dict(suspicion.investigate(self._contract, self._detect, trial), measure=measure)
        return suspicion.in_words(self._suspicion, measure, WHERE)

    def _object(self, problem: str, why: str, by_its_source: bool = False) -> None:
        """Refuse the model, or only warn if it was calibrated with noise, which is for trials.

        `by_its_source`: it gives what its source gives, so no toolchain could make a better one.
        """
        text = ". ".join(each for each in (problem, why) if each)
        if not self._args.get("noise"):
            refused = protocol.Refused(text)
            raise refusals.everywhere(refused, LIKE_ITS_SOURCE, MEND) if by_its_source else refused
        self._warnings.append(text.partition(": ")[2] if text.startswith(self._variant + ": ") else text)


class _Likeness:
    """How far detections are those of the source."""

    def __init__(self, source: Observations, folder: str, iou: float) -> None:
        self._source, self._folder, self._iou = source, folder, iou

    def look(self, detect: Detect) -> list[boxes.Found]:
        return [detect(pictures.load(os.path.join(self._folder, name))) for name in self._source.names]

    def score(self, seen: Sequence[boxes.Found]) -> float:
        matching = boxes.Matching(self._iou, SCORE)
        for place, found in enumerate(seen):
            wanted = self._source.found(place)
            assert wanted is not None
            matching.add(wanted, found)
        return matching.share


if __name__ == "__main__":
    protocol.main(verify)
