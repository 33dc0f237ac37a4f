"""The result of linting one file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litekiln.errors import LitekilnError
from litekiln.lint.findings import WARNING, Finding
from litekiln.lint.subject import Subject

CLEAN, FOUND, UNREADABLE = 0, 1, 2  # exit codes


@dataclass(frozen=True)
class Linted:
    """One file with its findings; or with the reason why it could not be read."""

    path: Path
    subject: Subject | None = None
    findings: list[Finding] = field(default_factory=list)
    problem: LitekilnError | None = None

    @property
    def exit_code(self) -> int:
        if self.problem:
            return UNREADABLE
        return FOUND if any(finding.severity >= WARNING for finding in self.findings) else CLEAN

    def as_dict(self) -> dict[str, Any]:
        if self.problem or not self.subject:
            return {"file": str(self.path), "unreadable": self.problem.as_dict() if self.problem else {}}
        found = [finding.as_dict() for finding in self.findings]
        family = self.subject.family.name if self.subject.family else ""
        return {"file": str(self.path), "kind": self.subject.kind.value, "family": family, "findings": found}
