"""Rules for the outputs: their meanings, order and shapes, and what the signature says about them."""

from collections.abc import Iterator

from litekiln.formats.tflite import DETECTION_OUTPUTS, RAW_OUTPUTS
from litekiln.lint.findings import ERROR, NOTE, WARNING, Finding
from litekiln.lint.subject import Kind, Subject, meanings_of, signature_names
from litekiln.wording import listed, shown

FIX = "inv lint --fix OUT repairs it and proves that the detections stay the same"
WRITES_SHAPES = "nothing, unless a program reserves memory before it loads the file: inv lint --fix OUT writes them down"
TOO_OLD = "the converter was too old for this export (before TensorFlow 2.4)"
CONVERT = "convert it again from its source: inv new, inv build"
OWN_CODE = "decode the boxes in your own program with anchors.npy and postprocess.json; or take a variant without -raw"
NAME_THEM = "name them in a model.toml: outputs = [...] below [source]; inv build then names and orders them"


def by_fix(subject: Subject, remedy: str = FIX, otherwise: str = CONVERT) -> str:
    """The remedy by --fix, if --fix can write this file anew; else another one."""
    return remedy if subject.repairable else otherwise


def check_postprocess(subject: Subject) -> Iterator[Finding]:
    found = subject.file.postprocess
    if len(found) > 1:
        yield Finding("several-postprocess", ERROR, f"{len(found)} PostProcess operators, but a detector has one", CONVERT)
    if subject.kind is Kind.RAW:
        yield Finding("no-postprocess", NOTE, f"it gives {' and '.join(RAW_OUTPUTS)}, which are not boxes yet", OWN_CODE)
    if subject.kind is Kind.UNNAMED:
        yield Finding("outputs-unnamed", WARNING, f"the outputs are called {_names(subject)}", NAME_THEM)


def check_order(subject: Subject) -> Iterator[Finding]:
    if not subject.detects:
        return
    if subject.lacks_ports:
        evidence = f"the outputs are tensors {_numbers(subject.file.outputs)}"
        if subject.file.postprocess:
            evidence += f", the PostProcess operator gives {_numbers(subject.file.postprocess[0].outputs)}"
        yield Finding("output-ports", ERROR, evidence, CONVERT)
        return
    if tuple(subject.meanings) != DETECTION_OUTPUTS:
        evidence = f"they are {', '.join(subject.meanings)}; programs that go by position expect {', '.join(DETECTION_OUTPUTS)}"
        yield Finding("output-order", WARNING, evidence, by_fix(subject), fix=subject.repairable)
    tensors = subject.by_meaning
    if tensors != sorted(tensors):
        numbers = ", ".join(f"{name} {tensor}" for name, tensor in zip(DETECTION_OUTPUTS, tensors, strict=True))
        evidence = f"tensor numbers: {numbers}; tools that sort by number mix them up"
        yield Finding("output-indices", WARNING, evidence, by_fix(subject), fix=subject.repairable)


def check_shapes(subject: Subject) -> Iterator[Finding]:
    file = subject.file
    hollow: list[str] = []
    wrong: list[str] = []
    unsaid: list[str] = []
    for place, output in enumerate(file.outputs):
        tensor, meaning = file.tensors[output], subject.meanings[place]
        has = f"{meaning or shown(tensor.name) or f'output {place}'} {list(tensor.shape)}"
        if 0 in tensor.shape:
            hollow.append(has)
        elif subject.kind is Kind.POSTPROCESS and meaning and tensor.shape != (expected := _expected(subject, meaning)):
            (wrong if tensor.shape else unsaid).append(f"{has} instead of {list(expected)}")
    if hollow:
        evidence = f"{listed(hollow)}: {TOO_OLD}"
        yield Finding("output-shape", ERROR, evidence, CONVERT)
    elif wrong:
        evidence = f"the file states {listed(wrong + unsaid)}"
        yield Finding("output-shape", WARNING, evidence, by_fix(subject), fix=subject.repairable)
    elif unsaid:
        evidence = (
            f"the file states {listed(unsaid)}: converters leave them out, and interpreters find them when they load the file"
        )
        yield Finding("output-shape", NOTE, evidence, by_fix(subject, WRITES_SHAPES), fix=subject.repairable)


def check_computed(subject: Subject) -> Iterator[Finding]:
    """Converters before TensorFlow 2.4 turn a TF2 export's detections into one constant, and raise nothing.

    But a detector for one class may have constant classes and count, and other networks may output a table.
    """
    file = subject.file
    made = {*file.inputs, *(output for operator in file.operators for output in operator.outputs)}
    computed = [
        output for output, meaning in zip(file.outputs, subject.meanings, strict=True) if meaning not in ("classes", "count")
    ]
    if computed and not made.intersection(computed):
        names = [file.tensors[output].name for output in dict.fromkeys(computed)]
        evidence = f"no operator writes {listed(names)}: it is the same for every picture. Often {TOO_OLD}"
        yield Finding("output-constant", ERROR, evidence, CONVERT)


def _expected(subject: Subject, meaning: str) -> tuple[int, ...]:
    most = (subject.option("max_detections") or 0) * max(1, subject.option("max_classes_per_detection") or 1)
    return {"boxes": (1, most, 4), "count": (1,)}.get(meaning, (1, most))


def check_signature(subject: Subject) -> Iterator[Finding]:
    file, kind = subject.file, subject.kind
    if not subject.detector or kind is Kind.UNNAMED:
        return
    mine = [signature for signature in file.signatures if signature.graph == 0]
    fix = subject.repairable
    if not mine:
        evidence = "programs can't ask for an output by its name, only by its place"
        yield Finding("signature-missing", NOTE, evidence, by_fix(subject), fix=fix)
        return
    inputs, outputs = ([tensor for _, tensor in ends] for ends in (mine[0].inputs, mine[0].outputs))
    said = [
        f"it names {end} {_numbers(named)}, but the file's are {_numbers(real)} (numbers of tensors)"
        for end, named, real, wrong in (
            ("inputs", inputs, file.inputs, not set(inputs) <= set(file.inputs)),
            ("outputs", outputs, file.outputs, set(outputs) != set(file.outputs)),
        )
        if wrong
    ]
    if said:
        yield Finding("signature-contradicts", ERROR, "; ".join(said), by_fix(subject), fix=fix)
        return
    names = signature_names(file)
    said, known = meanings_of(names), subject.meanings
    wrong = [(name, real) for name, says, real in zip(names, said, known, strict=True) if says and real and says != real]
    if wrong:
        evidence = "; ".join(f"it gives the {real} the name {shown(name)}" for name, real in wrong)
        yield Finding("signature-contradicts", ERROR, evidence, by_fix(subject), fix=subject.repairable)
    elif subject.detects and not all(said):
        evidence = f"it calls the outputs {listed(names)}"
        yield Finding("signature-names", NOTE, evidence, by_fix(subject), fix=subject.repairable)


def _names(subject: Subject) -> str:
    return listed([subject.file.tensors[output].name for output in subject.file.outputs])


def _numbers(tensors: list[int]) -> str:
    return listed([str(tensor) for tensor in tensors]) or "none"


RULES = (check_postprocess, check_order, check_shapes, check_computed, check_signature)
