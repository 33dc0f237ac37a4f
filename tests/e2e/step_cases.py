"""Chains of steps without plan or engine, many in one process: a case is wrong in one thing, which no recipe could make so."""

import json
import subprocess
from pathlib import Path
from typing import Any

from litekiln.engines.base import STEP_ENVIRONMENT
from litekiln.recipes.limits import limits
from litekiln.variants import BY_NAME
from tests.conftest import ROOT
from tests.e2e.conftest import Built, stored
from tests.e2e.test_shapes import toolchain_python

LABELS = ["circle", "square", "triangle"]


class Cases:
    """Cases of the demo: each is added with its name, then all are run, and told by these names."""

    def __init__(self, built: Built, folder: Path) -> None:
        self.built, self.folder = built, folder
        self._cases: list[dict[str, Any]] = []

    def ran(self, programs: Path = ROOT / "steps") -> dict[str, Any]:
        cases = self.folder / "cases.json"
        cases.write_text(json.dumps(self._cases))
        argv = [toolchain_python("tf2.13"), str(ROOT / "tests" / "sources" / "try_steps.py"), str(programs), str(cases)]
        environment = {**STEP_ENVIRONMENT, "PATH": "/usr/bin:/bin"}
        run = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
        assert run.returncode == 0, run.stderr[-3000:]
        told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return told

    def step(self, name: str, program: str, args: dict[str, Any], **inputs: Path) -> Path:
        box = self.folder / "boxes" / name.replace(" ", "_")
        named = {key: str(path) for key, path in inputs.items()}
        self._cases.append({"name": name, "program": program, "args": args, "inputs": named, "box": str(box)})
        return box / "out"

    def annotate(
        self, name: str, converted: Path, variant: str = "float32", labels: list[str] = LABELS, exported: Path | None = None
    ) -> Path:
        args = {"variant": variant, "model": "shapes", "license": "Apache-2.0", "labels": labels}
        inputs = {"converted": converted, "exported": exported or stored(self.built, "export")}
        return self.step(f"annotate {name}", "annotate.py", args, **inputs)

    def verify(self, name: str, bundle: Path, variant: str, **others: Path) -> Path:
        """As a build does: float32 is what the others are held against, so it has no reference itself."""
        args = {**BY_NAME[variant].as_arguments(), "limits": limits(BY_NAME[variant], None, None, None), "evaluation": True}
        inputs = {
            "bundle": bundle,
            "exported": stored(self.built, "export"),
            "pictures": stored(self.built, "draw shapes/eval"),
            "observed": stored(self.built, "source on shapes/eval"),
            **({} if variant == "float32" else {"reference": stored(self.built, "verify float32")}),
        }
        return self.step(name, "verify.py", args, **{**inputs, **others})
