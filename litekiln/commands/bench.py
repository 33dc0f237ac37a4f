"""`inv bench`: how long a bundle's frame takes on this computer, by the Pi's runtime: what `bench` in the image does on a Pi."""

from dataclasses import dataclass
from typing import Any

from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.names import AUTO
from litekiln.paths import Project
from litekiln.pi.desk import run_bundle
from litekiln.terminal import Reporter


@dataclass(frozen=True)
class BenchRequest:
    """The bundle, and how long to measure each number of threads; "" leaves that to the runtime."""

    model: str
    variant: str
    seconds: str = ""
    json: bool = False
    engine: str = AUTO


def bench(reporter: Reporter, project: Project, request: BenchRequest) -> dict[str, Any]:
    """The runtime's exit code. The runtime prints the figures, also after Ctrl-C."""
    refuse_unknown(project, request.model, request.variant)
    built = ready_bundle(reporter, project, request.model, request.variant, request.engine)
    options = [*([f"--seconds={request.seconds}"] if request.seconds else []), *(["--json"] if request.json else [])]
    return {"exit_code": run_bundle(project, built, "bench", ["bench", *options], reporter.note).exit_code}
