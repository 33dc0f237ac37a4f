"""`inv compare`: two builds side by side, and what differs between them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litekiln.bundles.compare import compare
from litekiln.bundles.page import compare_page
from litekiln.bundles.read import find_built
from litekiln.commands.standing import Standings, marks_of, say_standings
from litekiln.named_files import HTML, check_target, write_named
from litekiln.paths import Project
from litekiln.terminal import Reporter

SHORT_HASH = 12


@dataclass(frozen=True)
class CompareRequest:
    """The two builds, and the page to write; "" for none."""

    a: str
    b: str
    out: str = ""


def compare_builds(reporter: Reporter, project: Project, request: CompareRequest) -> dict[str, Any]:
    """The differences of two builds as data. Prints them, and writes the page if requested."""
    target = Path(request.out).resolve() if request.out else None
    left, right = find_built(project, request.a), find_built(project, request.b)
    if target:
        check_target("--out", target, HTML, reads=[each.place for each in (left, right)])
    found, standings = compare(left, right), Standings(project)
    stands = {name: standings.of_named(built) for name, built in (("a", left), ("b", right))}
    known = list({each.folder: each for each in stands.values() if each}.values())
    reporter.table(("", "build", "from"), [("A", left.name, left.origin), ("B", right.name, right.origin)])
    rows = [(line.what, _short(line.left), _short(line.right)) for line in found.lines if line.differs]
    reporter.table(("differs", "A", "B"), rows)
    same = [line.what for line in found.lines if line.known and not line.differs]
    reporter.note(f"the same in both: {', '.join(same) or 'nothing'}")
    if not_known := [line.what for line in found.lines if not line.known]:
        reporter.note(f"not known for one of the two: {', '.join(not_known)}")
    reporter.note(found.sentence)
    say_standings(reporter, known)
    if target:
        write_named("--out", target, compare_page(left, right, marks_of(known)).encode())
        reporter.note(f"wrote {target}")
    differences = [
        {"what": line.what, "group": line.group, "a": line.left, "b": line.right} for line in found.lines if line.differs
    ]
    ends = {
        name: {"build": built.name, "from": built.origin, "sha256": built.sha256, **(each.as_data() if each else {})}
        for (name, each), built in zip(stands.items(), (left, right), strict=True)
    }
    return {**ends, "same_file": found.same_file, "differences": differences, "page": str(target) if target else ""}


def _short(text: str) -> str:
    """A hash shortened for a terminal; any other text unchanged."""
    is_hash = len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)
    return text[:SHORT_HASH] if is_hash else text
