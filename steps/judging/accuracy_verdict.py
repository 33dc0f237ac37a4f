"""What an mAP means: whether a loss is more than chance, and which mistake explains a model that finds too little.

The first of a model's variants has nothing to be held against but its source, which makes the same mistakes: so the usual mistakes
are tried on it whatever its mAP is. Its warnings are about the model, and hold for all variants that are compared with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Dict, NamedTuple

import numpy
import protocol

from judging import accuracy, decoding, drawn_boxes, picture_names, resampling, suspicion
from tflite_file import activations, flat, opened

if TYPE_CHECKING:
    from detection.boxes import Found
    from detection.detector import Detector
    from judging.accuracy import Detect, Seen

JUDGED = "judged.json"  # for the variants that are compared with this one
POINTS = 100  # mAP is a share, and people speak of points
SUSPICIOUS = 5.0  # a larger loss in points is a mistake, not rounding
NEXT_TO_NOTHING = 0.02  # mAP@.5
POOR, POOR_AT_HALF = 0.15, 0.25  # what no good network has, even of 80 kinds of things
CLEARLY, CERTAIN = 0.02, 3.0  # a smaller gain counts if it is so much and so many standard deviations
TIGHT = 0.75  # of the mAP@.5 is left at all overlaps, where boxes are made as they were in training
ROUGH = 0.05  # an mAP that chance moves further says little
MOST_NAMES = 5  # so many are shown
SIX = "RELU_6 instead of RELU as its activations"
ACTIVATIONS = {SIX: ("RELU", "RELU6"), "RELU instead of RELU_6 as its activations": ("RELU6", "RELU")}
TWICE = 0.1  # a share of the boxes
HIGH = 0.1  # a score that leaves out what mAP counts
OTHER_NAMES = "other names for its classes"
UNNAMED = 0.5  # of the mAP that its boxes have whatever their names are: less is no matter of rounding
MOSTLY = 0.8  # of the mAP that its boxes have whatever their names are: what right names bring
OF_A_SOURCE = (
    "the weights, the batch normalisation's statistics, what pipeline.config or the recipe says of the network, or the drawn boxes"
)
OF_A_VARIANT = "the calibration pictures or the weights"


class File(NamedTuple):
    """What is judged: its bundle, the file as a model, and a way to open it with its pictures fed as a contract says."""

    bundle: str
    model: Any
    look: Callable[[Dict[str, Any]], Detector]  # evaluated: Python 3.7 can't subscript `dict`


class Verdict:
    """One model on an evaluation set: its figures, what to warn of, and why it is refused, '' if it isn't."""

    def __init__(self, folder: str, labels: list[str], contract: dict[str, Any], limits: dict[str, Any], file: File) -> None:
        self._labels, self._contract, self._limits = labels, contract, limits
        self._file, self._decoding = file, _decoding(file.model)
        self._set = accuracy.EvaluationSet(folder)
        self._set.check_labels(labels)
        self.warnings: list[str] = []
        self.suspicion: dict[str, Any] = {}
        self.refusal: tuple[str, str] = ("", "")  # what is wrong, and why

    def judge(self, variant: str, before: dict[str, Any] | None) -> dict[str, Any]:
        """The scores as the report has them. `before` is float32's JUDGED."""
        seen = self._set.look(self._look(self._contract))
        scores = self._set.score(seen, self._labels)
        anew = scores.pop("drawn_anew")
        scores["error"] = round(resampling.WIDE * resampling.spread(anew), 4)
        if before is None:
            self._judge_first(variant, seen, scores, anew)
        else:
            self._judge_loss(variant, seen, scores, anew, before)
        protocol.write_json(
            protocol.output_path(JUDGED),
            {"map": scores["map"], "drawn_anew": anew, "warnings": self.warnings if before is None else []},
        )
        sized = {name: self._contract[name] for name in ("height", "width", "resize", "max_detections")}
        scores["protocol"] = dict(sized, pictures=len(seen), score_threshold=self._lowest_score(), tool="pycocotools")
        return scores

    def _lowest_score(self) -> float:
        """The graph itself leaves out lower ones."""
        return float(self._contract.get("postprocess", {}).get("score_threshold", 0.0))

    def _judge_loss(
        self, variant: str, seen: list[Seen], scores: dict[str, Any], anew: list[float], before: dict[str, Any]
    ) -> None:
        self.warnings += ["as float32: %s" % each for each in before["warnings"]]
        drop = round((before["map"] - scores["map"]) * POINTS, 2)
        apart = resampling.spread([was - now for was, now in zip(before["drawn_anew"], anew)]) * POINTS
        most, warn = self._limits["max_map_drop"], self._limits["warn_map_drop"]
        scores.update(reference_map=before["map"], drop_points=drop, warn_points=warn, limit_points=most)
        scores.update(drop_error=round(resampling.WIDE * apart, 2), within_limit=drop - resampling.SURE * apart <= most)
        why = self._suspect(seen, self._beside(seen), before["map"]) if drop > SUSPICIOUS else ""
        lost = "loses %g points of mAP against float32" % drop
        if not scores["within_limit"]:
            doubtful = "; but float32's own figure is doubtful, see its warnings: mend that first" if before["warnings"] else ""
            self.refusal = "%s %s, the limit is %g%s" % (variant, lost, most, doubtful), why
        elif drop > most:
            chance = "%s, and the limit is %g; but chance alone moves that by up to %g on %d pictures: more of them would tell"
            self.warnings.append(chance % (lost, most, scores["drop_error"], len(seen)))
        elif drop > warn:
            self.warnings.append(". ".join(each for each in ("%s; more than %g is worth a look" % (lost, warn), why) if each))
        elif -drop - resampling.SURE * apart > most:
            gained = "gains %g points of mAP against float32, more than chance can: float32 itself is likely fed or read wrongly"
            self.warnings.append(gained % -drop)

    def _judge_first(self, variant: str, seen: list[Seen], scores: dict[str, Any], anew: list[float]) -> None:
        beside = self._beside(seen)
        why = self._suspect(seen, beside, None)
        found, most = self.suspicion, self._limits["max_map_drop"]
        missed = round((max(each["score"] for each in found["tried"]) - found["now"]) * POINTS, 2)
        certain = "" if found["likely"] else self._a_little_better(seen, scores["map"], anew)
        if certain:
            shown = "%s has mAP %.3f, and is clearly better in another way"
            self.refusal = shown % (variant, scores["map"]), certain
        elif found["likely"] and missed > most:
            shown = "%s has mAP %.3f, and %g points more when it is fed or read in another way; the limit is %g"
            self.refusal = shown % (variant, scores["map"], missed, most), why
        elif found["likely"]:
            self.warnings.append(why)
        elif scores["map_50"] < NEXT_TO_NOTHING:
            self.warnings.append("finds almost nothing of the ground truth: mAP@.5 is %.3f. %s" % (scores["map_50"], why))
        elif scores["map"] < POOR or scores["map_50"] < POOR_AT_HALF:
            shown = "finds little of the ground truth: mAP is %.3f, mAP@.5 %.3f. %s"
            self.warnings.append(shown % (scores["map"], scores["map_50"], why))
        else:
            self.suspicion = {}
        if not self.refusal[0]:
            self.warnings += self._of_the_names(seen)
            self.warnings += self._of_the_set(beside, scores)

    def _beside(self, seen: Sequence[Seen]) -> list[drawn_boxes.Beside]:
        return [drawn_boxes.Beside(each.image["file_name"], each.found, *self._set.drawn(each)) for each in seen]

    def _suspect(self, seen: list[Seen], beside: list[drawn_boxes.Beside], goal: float | None) -> str:
        """The likely mistake in words, found by trying. The report gets all that was tried."""
        few = picture_names.spread(seen, suspicion.PICTURES)

        def score(found: Sequence[Found]) -> float:
            return self._set.quick_map([each._replace(found=one) for each, one in zip(few, found)], self._labels)

        def again(detect: Detect) -> list[Found]:
            return [each.found for each in self._set.look(detect, [each.image for each in few])]

        trial = suspicion.Trial([each.found for each in few], again, score, goal)
        feed = goal is not None or self._contract.get("pixels") != "measured"
        others = [*self._other_readings(few, beside), *(self._other_networks(few) if goal is None else ())]
        found = suspicion.investigate(self._contract, self._look, trial, others, feed)
        if found["likely"].startswith((suspicion.NUMBERS, OTHER_NAMES)):
            best = max(each["score"] for each in found["tried"])
            if best < MOSTLY * self._set.quick_map(few, self._labels, by_name=False):
                found["likely"] = ""  # other names help little beside what the boxes alone say
        self.suspicion = dict(found, measure="mAP")
        return suspicion.in_words(self.suspicion, "mAP", OF_A_SOURCE if goal is None else OF_A_VARIANT)

    def _other_readings(self, few: list[Seen], beside: list[drawn_boxes.Beside]) -> Iterator[tuple[str, float]]:
        """Other boxes, another label map, other drawn boxes, and the mAP with each."""
        names = drawn_boxes.names_by_place(beside, self._labels)
        changed = ["%s: %s" % pair for pair in zip(self._labels, names) if pair[0] != pair[1]]
        if changed:
            shown = ", ".join(changed[:MOST_NAMES]) + (", …" if len(changed) > MOST_NAMES else "")
            yield "%s (%s)" % (OTHER_NAMES, shown), self._set.quick_map(few, names)
        shape = drawn_boxes.shape(beside)
        if shape.is_off:
            mended = [each._replace(found=shape.corrected(each.found)) for each in few]
            yield "other anchors or another box coder (%s)" % shape.in_words(), self._set.quick_map(mended, self._labels)
        for what, read in drawn_boxes.READINGS.items():
            yield "the drawn boxes %s" % what, self._set.quick_map(few, self._labels, read)

    def _other_networks(self, few: list[Seen]) -> Iterator[tuple[str, float]]:
        """Other activations, other boxes and scores made of the same predictions, and the mAP with each."""
        whole, half = self._set.quick_maps(few, self._labels)
        loose = whole < TIGHT * half  # boxes don't sit as they could
        for what in ACTIVATIONS if loose else (SIX,):
            detect = self._activated(what)
            if detect:
                yield what, self._set.quick_map(self._set.look(detect, [each.image for each in few]), self._labels)
        if loose and self._decoding:
            yield from self._other_decodings(few, self._decoding)

    def _other_decodings(self, few: list[Seen], operator: decoding.Decoding) -> Iterator[tuple[str, float]]:
        ways, detector = dict(operator.ways()), self._file.look(self._contract)
        found: dict[str, list[Seen]] = {what: [] for what in ways}
        for each in few:
            seen = detector.look(self._set.load(each.image))
            for what, decode in ways.items():
                found[what].append(each._replace(found=operator.again(seen, decode)))
        for what, made in found.items():
            yield what, self._set.quick_map(made, self._labels)

    def _activated(self, what: str) -> Detect | None:
        """What detects with other activations; None where the file has none of those."""
        old, new = ACTIVATIONS[what]
        if not activations.holds(self._file.model, old):
            return None
        model = copy.deepcopy(self._file.model)
        activations.exchange(model, old, new)
        return opened.edited(model, self._file.bundle, self._contract).detect

    def _look(self, contract: dict[str, Any]) -> Detect:
        return self._file.look(contract).detect

    def _a_little_better(self, seen: list[Seen], now: float, anew: list[float]) -> str:
        """Another way to feed it or to compute it that is better by little, but on all pictures so surely that it is no chance."""
        ways = {way.what: way for way in suspicion.feedings(self._contract)}
        hopeful = [each for each in self.suspicion["tried"] if each["what"] in ways or each["what"] in ACTIVATIONS]
        best = max(hopeful, key=lambda each: float(each["score"]), default=None)
        if best is None or best["score"] < self.suspicion["now"] + CLEARLY:
            return ""
        what: str = best["what"]
        detect = suspicion.detecting(self._look, ways[what]) if what in ways else self._activated(what)
        assert detect is not None
        made = self._set.score(self._set.look(detect, [each.image for each in seen]), self._labels)
        better, apart = made["map"], resampling.spread([after - before for after, before in zip(made["drawn_anew"], anew)])
        if better - now < max(CLEARLY, CERTAIN * apart):
            return ""
        self.suspicion["likely"] = what
        return "Likely: with %s it has mAP %.3f instead of %.3f on all %d pictures" % (what, better, now, len(seen))

    def _systematic(self, beside: list[drawn_boxes.Beside]) -> Iterator[str]:
        """What is wrong with all of its boxes, with all of its scores, or with how the best of them are chosen."""
        lowest = self._lowest_score()
        if lowest > HIGH:
            shown = (
                "leaves out what it finds with a score under %g (score_threshold): mAP counts that as not found, and programs too"
            )
            yield shown % lowest
        twice, every = drawn_boxes.found_twice(beside)
        if twice > TWICE * every:
            yield (
                "finds %d of %d things again where it is surer of the same: overlapping boxes are not suppressed (iou_threshold in "
                "pipeline.config, or the file's own)" % (twice, every)
            )
        shape = drawn_boxes.shape(beside)
        if shape.is_off:
            yield "%s: likely the anchors or the box coder are not those that it was trained with" % shape.in_words()
        found, drawn = drawn_boxes.crowd(beside)
        if found > drawn_boxes.TOO_MANY * drawn:
            many, close = "is sure of %d things where %d are drawn" % (found, drawn), drawn_boxes.closest(beside)
            if close < drawn_boxes.CLOSE:
                yield (
                    "%s, and its boxes for one thing differ: the best of them overlap the drawn ones by %.2f (median). Likely the "
                    "weights that make boxes are mixed up or of another model" % (many, close)
                )
            else:
                yield (
                    "%s: likely its scores are converted in another way than it was trained with (score_converter in "
                    "pipeline.config)" % many
                )

    def _of_the_names(self, seen: list[Seen]) -> Iterator[str]:
        """Whether its boxes are far better than its names for them."""
        few = picture_names.spread(seen, suspicion.PICTURES)
        named, boxed = self._set.quick_map(few, self._labels), self._set.quick_map(few, self._labels, by_name=False)
        if boxed > POOR and named < UNNAMED * boxed:
            shown = "finds things but calls them wrongly: mAP is %.3f, and %.3f if names don't count. Look at the label map, "
            yield (shown + "at the names in the evaluation set, and at the weights that tell classes apart") % (named, boxed)

    def _of_the_set(self, beside: list[drawn_boxes.Beside], scores: dict[str, Any]) -> Iterator[str]:
        """What is doubtful about the boxes, the pictures and the names, if this network knows enough to tell."""
        whole, every = drawn_boxes.whole_pictures(beside)
        if 2 * whole > every:
            yield "has %d of %d drawn boxes that are whole pictures: that says what is in a picture, not where" % (whole, every)
            return
        yield from self._systematic(beside)
        said = {
            "name": "is very sure of another name than the drawn one for %d of %d things: %s; look whether they are named rightly",
            "nowhere": "is very sure of %d things, of %d, that are drawn nowhere: %s; look whether boxes are missing, "
            "or pictures have the boxes of others",
        }
        found, drawn = drawn_boxes.crowd(beside)
        known = scores["map_50"] >= POOR_AT_HALF and found <= drawn_boxes.TOO_MANY * drawn
        for kind, doubt in drawn_boxes.doubts(beside, self._labels).items() if known else ():
            yield said[kind] % (doubt.doubtful, doubt.of, ", ".join(doubt.examples))
        twice, every = drawn_boxes.twice_drawn(beside)
        if twice > TWICE * every:
            shown = "has %d of %d drawn boxes at the place of another: things were likely drawn twice, or with two names"
            yield shown % (twice, every)
        copies = self._set.copies()
        if copies:
            yield "was judged on %d pictures that are copies of others, the first: %s of %s" % (len(copies), *copies[0])
        if scores["error"] > ROUGH:
            rough = "its mAP of %.3f was measured on %d pictures, too few to be exact: chance moves it by up to %.3f"
            yield rough % (scores["map"], len(beside), scores["error"])


def _decoding(model: Any) -> decoding.Decoding | None:
    """The decoding of a file that has the operator, with its anchors as they are; None for others."""
    last, graph = flat.postprocess(model), model.subgraphs[0]
    data = model.buffers[graph.tensors[int(last.inputs[2])].buffer].data if last is not None else None
    if data is None or not len(data):
        return None
    stated = flat.custom_options(last)
    options = {
        "max_detections": int(stated["max_detections"]),
        "scales": {name: float(stated["%s_scale" % short]) for name, short in flat.SCALES.items()},
        "background_classes": int(graph.tensors[int(last.inputs[1])].shape[-1]) - int(stated["num_classes"]),
        "score_threshold": float(stated["nms_score_threshold"]),
        "iou_threshold": float(stated["nms_iou_threshold"]),
        "regular": bool(stated.get("use_regular_nms", False)),
    }
    return decoding.Decoding(numpy.frombuffer(bytes(bytearray(data)), numpy.float32).reshape(-1, 4), options)
