"""`inv bench`: how long a bundle's frame takes on this computer, by the Pi's runtime: what `bench` in the image does on a Pi."""

import shlex
from dataclasses import dataclass
from typing import Any

from litekiln.commands.ready_bundle import ready_bundle, refuse_unknown
from litekiln.engines.names import AUTO
from litekiln.leases import Lease
from litekiln.paths import Project
from litekiln.pi.desk import make_environment, run_runtime
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
    typed = f"inv bench --model {shlex.quote(request.model)} --variant {request.variant}"
    with Lease(project.state):  # keeps `inv clean` from removing the environment
        folder = make_environment(project, reporter.note)
        ended = run_runtime(project, folder, built, typed, ["bench", *options])
    return {"exit_code": ended.exit_code}
