"""Where an integer model's error comes from, tensor by tensor, and what would help: measured, not guessed.

The calibrated model is a float model whose tensors have the same names as those of the quantized one, so the result of each
operator can be compared with what it should be. Then two remedies are tried: to keep the operators that add most noise in float,
and 16 bits between operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
    wanted = [float_run.look(batch) for batch in batches]

    kept = list(args.get("keep_float", ()))  # int8 is built with these; the trials add to them

    forms = [variants.of(each) for each in args["forms"]]
    eight, sixteen = (next(form for form in forms if form.inside(kind)) for kind in ("int8", "int16"))

    def quantized(variant: Variant, keep_float: Sequence[str] = ()) -> _Run:
        return _Run(quantizing.quantize(quantizing.read(calibrated), variant, contract, keep_float), contract)

    def as_built(variant: Variant) -> _Run:
        return quantized(variant, kept if variant is eight else ())

    traced = {form.name: _traced(float_run, as_built(form), batches) for form in forms if form.name in args["variants"]}
    noisiest = traced[eight.name].pop("noisiest") if eight.name in traced else []
    told = {variant: dict(each, pictures=len(batches)) for variant, each in traced.items()}
    if eight.name in told:
        trials: list[dict[str, Any]] = [{"what": "%s as it is" % eight.name, **_likeness(wanted, as_built(eight), batches)}]
        if noisiest:
            what = "the %d %soperators that add most noise kept in float" % (len(noisiest), "further " if kept else "")
            all_kept = kept + noisiest
            trials.append({"what": what, "keep_float": all_kept, **_tried(wanted, quantized, eight, all_kept, batches)})
        trials.append({"what": sixteen.name, **_tried(wanted, quantized, sixteen, (), batches)})
        told[eight.name].update(trials=trials, advice=_advice(trials))
    if sixteen.name in told:
        told[sixteen.name].pop("noisiest", None)
    return told


def _batches(args: dict[str, Any], contract: dict[str, Any]) -> list[numpy.ndarray]:
    """Pictures as the network takes them."""
    folder = protocol.input_path("pictures")
    most = max(FEWEST, min(MOST, PIXELS // (contract["height"] * contract["width"])))
    found = picture_names.load(folder, picture_names.of(args, folder), most)
    return [pictures.normalise(pictures.fit(picture, contract)[0], contract) for _, picture in found]


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
        numbers: numpy.ndarray = (value.astype(numpy.float32) - scales["zero_points"][0]) * scales["scales"][0]
        return numbers

    def results(self) -> dict[str, tuple[str, list[str], int, str]]:
        """By the name of each tensor that is computed: its operator, what that reads, the tensor's number and its type."""
        graph = self.model.subgraphs[0]
        found: dict[str, tuple[str, list[str], int, str]] = {}
        for name, operator in flat.operators(self.model):
            for index in operator.outputs:
                tensor = graph.tensors[int(index)]
                reads = [graph.tensors[int(each)].name.decode() for each in operator.inputs if int(each) >= 0]
                found[tensor.name.decode()] = (name.decode(), reads, int(index), flat.TYPES[tensor.type])
        return found


def _traced(source: _Run, candidate: _Run, batches: list[numpy.ndarray]) -> dict[str, Any]:
    """Signal to noise of each integer tensor, in decibels; the worst, and the operators that add most noise."""
    wanted, given = source.results(), candidate.results()
    names = [name for name, (_, _, _, kind) in given.items() if name in wanted and kind in ("int8", "int16")]
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for place, batch in enumerate(batches):
        source.run(batch)
        candidate.run(batch)
        for name in names:
            should, found = (run.value(told[name][2]).astype(numpy.float64) for run, told in ((source, wanted), (candidate, given)))
            if should.shape == found.shape:
                signal[name] += float((should**2).sum())
                noise[name] += float(((should - found) ** 2).sum())
        protocol.progress(place + 1, len(batches), "pictures traced")
    clear = {name: _decibels(signal[name], noise[name]) for name in names if signal[name] > SILENCE}
    worst = sorted(clear, key=lambda name: clear[name])[:WORST]
    tensors = [{"name": name, "operator": given[name][0], "type": given[name][3], "snr_db": clear[name]} for name in worst]
    lost = {name: min((clear[each] for each in given[name][1] if each in clear), default=CEILING) - clear[name] for name in clear}
    weighty = [name for name in clear if given[name][0] not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "CONCATENATION")]
    return {
        "tensors": tensors,
        "count": len(clear),
        "median_snr_db": round(float(numpy.median(list(clear.values()))), 1) if clear else None,
        "noisiest": sorted(weighty, key=lambda name: -lost[name])[:WORST],
    }


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
        return _likeness(wanted, quantized(variant, keep_float), batches)
    except (protocol.Refused, RuntimeError, ValueError) as error:
        machine_faults.pass_on(error)
        return {"failed": str(error).partition("\n")[0][:300]}


def _likeness(wanted: list[Look], candidate: _Run, batches: list[numpy.ndarray]) -> dict[str, Any]:
    """How close it is to the float model: noise at its end, and detections that are the same."""
    matching, signal, noise = boxes.Matching(ALIKE, SCORE), 0.0, 0.0
    for (heads, found), batch in zip(wanted, batches):
        given, seen = candidate.look(batch)
        for should, each in zip(heads, given):
            signal += float((should.astype(numpy.float64) ** 2).sum())
            noise += float(((should.astype(numpy.float64) - each) ** 2).sum())
        if found is not None and seen is not None:
            matching.add(found, seen)
    told = {"snr_db": _decibels(signal, noise)}
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
