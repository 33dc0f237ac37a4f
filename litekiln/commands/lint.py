"""`inv lint`: examines files and reports findings; with --fix repairs what needs no source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.engines.names import AUTO
from litekiln.errors import LitekilnError, UsageError
from litekiln.lint.examine import examine, look_into
from litekiln.lint.findings import Severity
from litekiln.lint.fix import FixRequest, repair
from litekiln.lint.result import Linted
from litekiln.lint.sarif import as_sarif
from litekiln.lint.subject import Kind, Subject
from litekiln.named_files import SARIF, check_target, check_writable, write_named
from litekiln.paths import Project
from litekiln.terminal import Reporter

NAMES = {
    Kind.POSTPROCESS: "SSD detector",
    Kind.DETECTIONS: "detector",
    Kind.UNNAMED: "detector, judging by its outputs",
    Kind.RAW: "SSD detector without the PostProcess operator",
    Kind.PLAIN: "no detector",
}


@dataclass(frozen=True)
class LintRequest:
    """The files to examine, and with `fix` where the repaired one goes."""

    files: Sequence[str]
    labels: str = ""
    sarif: str = ""
    fix: str = ""
    pixels: tuple[str, str] = ("", "")
    pictures: str = ""
    engine: str = AUTO


def lint(reporter: Reporter, project: Project, request: LintRequest) -> dict[str, Any]:
    """The findings in every file as data, with the worst exit code."""
    files, labels, sarif, fix = request.files, request.labels, request.sarif, request.fix
    if not files:
        raise UsageError("--file is missing", remedy="inv lint --file X.tflite; more than one can be given")
    _check_companions(request)
    if sarif:
        reads = [Path(each) for each in (*files, labels, request.pictures) if each]
        check_target("--sarif", Path(sarif).resolve(), SARIF, reads=reads)
        check_writable("--sarif", Path(sarif).resolve())
    given = Path(labels) if labels else None
    linted = [lint_file(Path(file), given) for file in files]
    for each in linted:
        _show(reporter, each)
    value: dict[str, Any] = {"files": [each.as_dict() for each in linted]}
    if fix and linted[0].subject:
        value["fix"] = repair(
            reporter, project, linted[0], FixRequest(fix, given, request.pixels, request.pictures, request.engine)
        )
        if value["fix"]["written"]:
            linted = [lint_file(Path(fix), None)]
            reporter.note("what is left:")
            _show(reporter, linted[0])
            value["left"] = linted[0].as_dict()
    if sarif:
        write_named("--sarif", Path(sarif).resolve(), as_sarif(linted))
        reporter.note(f"wrote {sarif}")
    return {**value, "exit_code": max(each.exit_code for each in linted)}


def _check_companions(request: LintRequest) -> None:
    files, fix, pixels, pictures = request.files, request.fix, request.pixels, request.pictures
    if fix and len(files) > 1:
        raise UsageError(
            f"--fix {fix} with {len(files)} files", cause="it names one file to write", remedy="repair them one by one"
        )
    if fix and request.sarif and Path(fix).resolve() == Path(request.sarif).resolve():
        raise UsageError(f"--fix and --sarif both name {fix}", remedy="name two files")
    for flag, value in (("--mean", pixels[0]), ("--std", pixels[1]), ("--pictures", pictures)):
        if value and not fix:
            raise UsageError(f"{flag} without --fix", cause="it says what is written, or how that is proven", remedy="--fix OUT")


def lint_file(path: Path, labels: Path | None) -> Linted:
    try:
        subject = look_into(path, labels)
        return Linted(path, subject, examine(subject))
    except LitekilnError as error:
        return Linted(path, problem=error)


def _show(reporter: Reporter, linted: Linted) -> None:
    if linted.problem or not linted.subject:
        reporter.failed("unreadable", str(linted.problem))
        return
    counts = {severity: sum(each.severity is severity for each in linted.findings) for severity in reversed(Severity)}
    summary = ", ".join(f"{count} {severity.word}{'s' if count > 1 else ''}" for severity, count in counts.items() if count)
    reporter.heading(f"{linted.path}: {_called(linted.subject)}: {summary or 'nothing found'}")
    for finding in linted.findings:
        reporter.finding(finding.severity.word, finding.id, finding.evidence, (finding.remedy, finding.page))


def _called(subject: Subject) -> str:
    return subject.family.name if subject.family else NAMES[subject.kind]
