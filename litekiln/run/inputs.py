"""What steps read of the user's files: copies, each checked against the hash that is in the step's key.

Minutes pass between the plan and a step. A file that was edited meanwhile, or edited and put back while the step ran, would leave a
result under a key that is not its own. Nobody edits a copy in the staging folder.
"""

import shutil
import threading
from pathlib import Path

from litekiln.disk import saying_disk_full
from litekiln.errors import InputChanged
from litekiln.hashing import FileHashes, copy_hashed, files_below
from litekiln.paths import Project
from litekiln.plan.plan import Input, Step
from litekiln.plan.step_modules import StepModules

REMEDY = "run the same command again, and change nothing while it runs"


class Inputs:
    """The copies of one run, below its staging folder. Steps that read the same files share one copy."""

    def __init__(self, project: Project, staging: Path) -> None:
        self._project = project
        self._folder = staging / "inputs"
        self._programs = staging / "steps"
        self._copied: dict[tuple[str, str], Path] = {}
        self._modules: StepModules | None = None
        self._copying = threading.Lock()

    def copy_of(self, value: Input) -> Path:
        """A copy of the project's file or folder, made when the first step asks for it."""
        with self._copying:
            name = (value.path, value.sha256)
            if name not in self._copied:
                self._copied[name] = self._copy(value, self._folder / str(len(self._copied)))
            return self._copied[name]

    def programs(self, step: Step) -> Path:
        """A copy of steps/, in which the step's program is the one that the plan saw."""
        with self._copying:
            if not self._modules:
                with saying_disk_full(self._project.state):
                    shutil.rmtree(self._programs, ignore_errors=True)  # of a try that ended in an error
                    self._programs.mkdir(parents=True)
                    for path in files_below(self._project.steps):
                        _copied(path, self._programs / path.relative_to(self._project.steps))
                self._modules = StepModules(self._programs)
            if self._modules.hash_of(step.program) != step.ingredients["code"]:
                msg = f"{step.id}: steps/{step.program}, or a module that it imports, changed while it was being built"
                raise InputChanged(msg, remedy=REMEDY)
            return self._programs

    def _copy(self, value: Input, target: Path) -> Path:
        """The copy, under the name that the file or folder has."""
        source = self._project.work / value.path
        place = target / source.name
        shutil.rmtree(target, ignore_errors=True)  # of a try that ended in an error
        with saying_disk_full(self._project.state):
            target.mkdir(parents=True)
            if "" not in value.files:
                place.mkdir()
            for name, digest in value.files.items():
                path = source / name if name else source
                try:
                    found = _copied(path, place / name if name else place)
                except (FileNotFoundError, NotADirectoryError):
                    found = ""
                if found != digest:
                    FileHashes(self._project.state).forget(path)
                    msg = f"{self._project.relative(path)} changed while it was being built"
                    raise InputChanged(msg, cause="" if found else "it is no longer there", remedy=REMEDY)
        return place


def _copied(source: Path, target: Path) -> str:
    """The sha256 of what was copied. Links become what they lead to, which a container could not see."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return copy_hashed(source, target)
