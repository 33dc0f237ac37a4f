"""Where an integer model's error comes from, tensor by tensor, and what would help: measured, not guessed.

The calibrated model is a float model whose tensors have the same names as those of the quantized one, so the result of each
operator can be compared with what it should be. Then two remedies are tried: to keep the operators that add most noise in float,
and 16 bits between operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, List, NamedTuple

import numpy
import protocol

import machine_faults
from detection import boxes, pictures
from judging import picture_names
from tflite_file import converted, flat, quantizing, variants

if TYPE_CHECKING:
    from tflite_file.variants import Variant

    Look = tuple[list[numpy.ndarray], boxes.Found | None]  # the numbers at a model's end, and its detections

PIXELS = 64 * 160 * 160  # of all pictures together: large networks are traced on fewer pictures
FEWEST, MOST = 4, 32
WORST = 10
SCORE, ALIKE = 0.3, 0.5  # the lowest score of a detection that counts, and the minimum IoU to count as the same box
# A calibrated range that is under this share of what is seen cuts something off; more such tensors than this share are told.
COVERED, NARROW = 0.8, 0.05
SILENCE, CEILING = 1e-20, 99.0
# What a remedy must gain: this share of detections that are the same as float32's; without detections, so many decibels.
HELPS, CLEARER = 0.01, 3.0


def trace(args: dict[str, Any]) -> dict[str, Any]:
    """By variant, where its error comes from. A model that can't be traced is not refused for that: a warning says why."""
    try:
        return _trace(args)
    except (protocol.Refused, RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        told = str(error).strip().partition("\n")[0][:300]
        return {"warnings": ["was not traced, so where its error comes from is not known: %s" % told]}


def _trace(args: dict[str, Any]) -> dict[str, Any]:
    calibrated = protocol.input_path("calibrated")
    contract = converted.read_contract(calibrated)
    if any(name.startswith(flat.FLEX) for name, _ in flat.operators(quantizing.read(calibrated))):
        return {}  # full TensorFlow's operators run only with delegates, whose tensors can't be read
    batches, float_run = _batches(args, contract), _Run(quantizing.read(calibrated), contract)
    kept = list(args.get("keep_float", ()))  # int8 is built with these; the trials add to them

    forms = [variants.of(each) for each in args["forms"]]
    eight, sixteen = (next(form for form in forms if form.inside(kind)) for kind in ("int8", "int16"))

    def quantized(variant: Variant, keep_float: Sequence[str] = ()) -> _Run:
        return _Run(quantizing.quantize(quantizing.read(calibrated), variant, contract, keep_float), contract)

    def as_built(variant: Variant) -> _Run:
        return quantized(variant, kept if variant is eight else ())

    traced = {form.name: _Traced(float_run, as_built(form)) for form in forms if form.name in args["variants"]}
    wanted: list[Look] = []
    for place, batch in enumerate(batches):
        wanted.append(float_run.look(batch))
        for each in traced.values():
            each.add(batch, wanted[-1])
        protocol.progress(place + 1, len(batches), "pictures traced")
    told: dict[str, Any] = {variant: dict(each.told(), pictures=len(batches)) for variant, each in traced.items()}
    noisiest = traced[eight.name].noisiest() if eight.name in traced else []
    if eight.name in told:
        if args.get("evaluation"):
            told["warnings"] = _narrow(*traced[eight.name].narrow())
        trials: list[dict[str, Any]] = [{"what": "%s as it is" % eight.name, **traced[eight.name].likeness.told()}]
        if noisiest:
            what = "the %d %soperators that add most noise kept in float" % (len(noisiest), "further " if kept else "")
            all_kept = kept + noisiest
            trials.append({"what": what, "keep_float": all_kept, **_tried(wanted, quantized, eight, all_kept, batches)})
        trials.append({"what": sixteen.name, **_tried(wanted, quantized, sixteen, (), batches)})
        told[eight.name].update(trials=trials, advice=_advice(trials))
    return told


def _narrow(count: int, every: int) -> list[str]:
    """A warning where the calibration pictures showed less than the pictures that the model is judged on."""
    if count <= NARROW * every:
        return []
    shown = (
        "the calibration pictures are unlike the evaluation pictures: in %d of %d tensors they have less than %d %% of the range "
        "that is seen there. Calibrate with pictures of what the model will see"
    )
    return [shown % (count, every, COVERED * 100)]


def _batches(args: dict[str, Any], contract: dict[str, Any]) -> list[numpy.ndarray]:
    """Pictures as the network takes them."""
    folder = protocol.input_path("pictures")
    most = max(FEWEST, min(MOST, PIXELS // (contract["height"] * contract["width"])))
    found = picture_names.load(folder, picture_names.of(args, folder), most)
    return [pictures.normalise(pictures.fit(picture, contract)[0], contract) for _, picture in found]


class _Made(NamedTuple):
    """A tensor that an operator makes: what that reads, the tensor's number and its type."""

    operator: str
    reads: List[str]  # evaluated: Python 3.7 can't subscript `list`
    tensor: int
    kind: str


class _Run:
    """A model whose tensors can all be read. It runs without delegates, which don't show theirs."""

    def __init__(self, model: Any, contract: dict[str, Any]) -> None:
        from tensorflow.lite.python.interpreter import Interpreter, OpResolverType

        self.model = model
        self._interpreter = Interpreter(
            model_content=flat.write(model),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._details = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        self._detects = contract["outputs"] in ("postprocess", "detections")
        graph, last = model.subgraphs[0], flat.postprocess(model)
        names: Sequence[str] = flat.DETECTION_OUTPUTS if last is not None else flat.signed_outputs(model)
        ends = last.outputs if last is not None else graph.outputs
        self._outputs = dict(zip(names, (int(each) for each in ends)))
        self.heads = [int(each) for each in (last.inputs[:2] if last is not None else graph.outputs)]

    def run(self, batch: numpy.ndarray) -> None:
        entry = self._interpreter.get_input_details()[0]
        self._interpreter.set_tensor(entry["index"], pictures.as_type(batch, entry["dtype"], entry["quantization"]))
        self._interpreter.invoke()

    def look(self, batch: numpy.ndarray) -> Look:
        """The numbers at its end, and its detections."""
        self.run(batch)
        heads, found = [self.value(index) for index in self.heads], None
        if self._detects:
            found = boxes.of_outputs({name: self.value(index) for name, index in self._outputs.items()})
        return heads, found

    def value(self, index: int) -> numpy.ndarray:
        """The numbers in a tensor after the last run."""
        value: numpy.ndarray = self._interpreter.get_tensor(index)
        scales = self._details[index]["quantization_parameters"]
        if value.dtype == numpy.float32 or not len(scales["scales"]):
            return value
        numbers = value.astype(numpy.float32)
        numbers -= scales["zero_points"][0]
        numbers *= scales["scales"][0]
        return numbers

    def width(self, index: int) -> float:
        """How wide the range of an integer tensor is."""
        detail = self._details[index]
        levels = numpy.iinfo(detail["dtype"])
        return float(detail["quantization_parameters"]["scales"][0]) * (float(levels.max) - float(levels.min))

    def results(self) -> dict[str, _Made]:
        """What is known of each tensor that is computed, by its name."""
        graph = self.model.subgraphs[0]
        found: dict[str, _Made] = {}
        for name, operator in flat.operators(self.model):
            for index in operator.outputs:
                tensor = graph.tensors[int(index)]
                reads = [graph.tensors[int(each)].name.decode() for each in operator.inputs if int(each) >= 0]
                found[tensor.name.decode()] = _Made(name.decode(), reads, int(index), flat.TYPES[tensor.type])
        return found


class _Traced:
    """A model beside the float model, tensor by tensor, over all pictures."""

    def __init__(self, source: _Run, candidate: _Run) -> None:
        self._source, self._candidate = source, candidate
        self._wanted, self._given = source.results(), candidate.results()
        self._names = [name for name, made in self._given.items() if name in self._wanted and made.kind in ("int8", "int16")]
        self._signal, self._noise = dict.fromkeys(self._names, 0.0), dict.fromkeys(self._names, 0.0)
        self._seen: dict[str, tuple[float, float]] = {}
        self.likeness = _Likeness()

    def add(self, batch: numpy.ndarray, wanted: Look) -> None:
        """Compare the two on a picture, which the float model has seen just before."""
        self.likeness.add(wanted, self._candidate.look(batch))
        for name in self._names:
            should, found = self._source.value(self._wanted[name].tensor), self._candidate.value(self._given[name].tensor)
            if should.shape == found.shape:
                low, high = self._seen.get(name, (math.inf, -math.inf))
                self._seen[name] = min(low, float(should.min())), max(high, float(should.max()))
                self._signal[name] += _square(should)
                self._noise[name] += _square(found - should)

    def _clear(self) -> dict[str, float]:
        """Signal to noise of each integer tensor, in decibels."""
        return {name: _decibels(self._signal[name], self._noise[name]) for name in self._names if self._signal[name] > SILENCE}

    def narrow(self) -> tuple[int, int]:
        """How many tensors have a calibrated range that is clearly smaller than what was seen here, and how many there are."""
        widths = {name: self._candidate.width(self._given[name].tensor) for name in self._seen}
        count = sum(width < COVERED * (self._seen[name][1] - self._seen[name][0]) for name, width in widths.items())
        return count, len(widths)

    def told(self) -> dict[str, Any]:
        """The worst tensors."""
        clear = self._clear()
        worst = sorted(clear, key=lambda name: clear[name])[:WORST]
        described = [(name, self._given[name]) for name in worst]
        return {
            "tensors": [
                {"name": name, "operator": made.operator, "type": made.kind, "snr_db": clear[name]} for name, made in described
            ],
            "count": len(clear),
            "median_snr_db": round(float(numpy.median(list(clear.values()))), 1) if clear else None,
        }

    def noisiest(self) -> list[str]:
        """The operators that add most noise, by the names of their tensors."""
        clear, given = self._clear(), self._given
        lost = {
            name: min((clear[each] for each in given[name].reads if each in clear), default=CEILING) - clear[name] for name in clear
        }
        weighty = [name for name in clear if given[name].operator not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "CONCATENATION")]
        return sorted(weighty, key=lambda name: -lost[name])[:WORST]


def _square(values: numpy.ndarray) -> float:
    """The sum of the squares. 32 bits are precise enough for decibels, if they can hold it."""
    flatly = values.ravel()
    total = float(numpy.dot(flatly, flatly))
    return total if math.isfinite(total) else float(numpy.square(flatly, dtype=numpy.float64).sum())


def _decibels(signal: float, noise: float) -> float:
    return round(min(CEILING, 10 * float(numpy.log10(max(signal, SILENCE) / max(noise, SILENCE)))), 1)


def _tried(
    wanted: list[Look],
    quantized: Callable[[Variant, Sequence[str]], _Run],
    variant: Variant,
    keep_float: Sequence[str],
    batches: list[numpy.ndarray],
) -> dict[str, Any]:
    """How far a remedy helps, or why it failed."""
    try:
        candidate, likeness = quantized(variant, keep_float), _Likeness()
        for should, batch in zip(wanted, batches):
            likeness.add(should, candidate.look(batch))
        return likeness.told()
    except (protocol.Refused, RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        return {"failed": str(error).partition("\n")[0][:300]}


class _Likeness:
    """How close a model is to the float model: noise at its end, and detections that are the same."""

    def __init__(self) -> None:
        self._matching, self._signal, self._noise = boxes.Matching(ALIKE, SCORE), 0.0, 0.0

    def add(self, wanted: Look, given: Look) -> None:
        for should, each in zip(wanted[0], given[0]):
            self._signal += float((should.astype(numpy.float64) ** 2).sum())
            self._noise += float(((should.astype(numpy.float64) - each) ** 2).sum())
        if wanted[1] is not None and given[1] is not None:
            self._matching.add(wanted[1], given[1])

    def told(self) -> dict[str, Any]:
        told = {"snr_db": _decibels(self._signal, self._noise)}
        matching = self._matching
        return dict(told, share=round(matching.share, 4), detections=matching.wanted) if matching.wanted else told


def _advice(trials: list[dict[str, Any]]) -> str:
    """A sentence that says which trial is worth its price."""
    now, *others = trials
    better = [each for each in others if "failed" not in each and _is_better(now, each)]
    if not better:
        return "neither would help noticeably: int8 is as good as it gets here"
    best = max(better, key=lambda each: (each.get("share", 0), each["snr_db"]))
    kept = " (--keep-float, names in the report)" if best.get("keep_float") else ""
    return "%s%s would help: %s instead of %s" % (best["what"], kept, _in_words(best), _in_words(now))


def _is_better(now: dict[str, Any], other: dict[str, Any]) -> bool:
    if "share" in now:
        return bool(other["share"] >= now["share"] + HELPS)
    return bool(other["snr_db"] >= now["snr_db"] + CLEARER)


def _in_words(trial: dict[str, Any]) -> str:
    share = "%.1f%% of float32's detections, " % (trial["share"] * 100) if "share" in trial else ""
    return "%s%g dB" % (share, trial["snr_db"])


if __name__ == "__main__":
    protocol.main(trace)
