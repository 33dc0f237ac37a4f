"""Where things are: the code (this checkout, or the copy inside a toolchain image) and the user's work."""

import os
from dataclasses import dataclass
from pathlib import Path

CODE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """`code` holds steps/ and toolchains/; `work` holds models/, calib/, out/ and the store.

    They are one folder in a checkout. Inside a toolchain image `work` is the mounted folder and `code` may be the image's own.
    """

    code: Path
    work: Path

    @property
    def steps(self) -> Path:
        return self.code / "steps"

    @property
    def toolchains(self) -> Path:
        return self.code / "toolchains"

    @property
    def models(self) -> Path:
        return self.work / "models"

    @property
    def calib(self) -> Path:
        return self.work / "calib"

    @property
    def downloads(self) -> Path:
        """Downloaded archives, unchanged, so that they can be shared."""
        return self.state / "downloads"

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def state(self) -> Path:
        """Everything that litekiln keeps between runs. Deleting it costs only time."""
        return Path(os.environ.get("LITEKILN_HOME") or self.work / ".litekiln")

    def relative(self, path: Path) -> str:
        """A path as a person in the project's folder would type it."""
        try:
            return path.resolve().relative_to(self.work.resolve()).as_posix()
        except ValueError:
            return str(path)


def find_project(start: Path | None = None) -> Project:
    """The project around `start`: the nearest folder upwards with a models/ folder, else the code's own folder."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "models").is_dir():
            code = folder if (folder / "steps").is_dir() and (folder / "toolchains").is_dir() else CODE
            return Project(code=code, work=folder)
    return Project(code=CODE, work=CODE)
