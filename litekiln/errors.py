"""Every error that litekiln raises on purpose: one tree, one exit code per kind, three parts each.

Raised anywhere, printed in one place (`commands/runner.py`). A traceback is shown only with `--debug`.
"""


class LitekilnError(Exception):
    """What failed, its likely cause, and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, cause: str = "", remedy: str = "", details: dict[str, object] | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.remedy = remedy
        self.details = details or {}

    def __str__(self) -> str:
        parts = [self.what]
        if self.cause:
            parts.append(f"  Likely cause: {self.cause}")
        if self.remedy:
            parts.append(f"  What to do:   {self.remedy}")
        return "\n".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The error as data, for `--json`."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "what": self.what,
            "cause": self.cause,
            "remedy": self.remedy,
            **self.details,
        }


class UsageError(LitekilnError):
    """An argument is wrong."""

    exit_code = 2


class RecipeError(LitekilnError):
    """A recipe, toolchain file or other file of the project can't be used as it is."""

    exit_code = 3


class ToolchainError(LitekilnError):
    """A pinned environment can't be made, or doesn't match its pins."""

    exit_code = 4


class LockOutOfDate(ToolchainError):
    """requirements.lock doesn't match requirements.in."""


class WheelMissing(ToolchainError):
    """A locked package has no build for this machine."""


class InterpreterMissing(ToolchainError):
    """The toolchain's Python isn't on this machine."""


class EngineError(LitekilnError):
    """An engine can't run steps."""

    exit_code = 5


class DockerMissing(EngineError):
    """docker is missing on this machine."""


class DaemonUnreachable(EngineError):
    """docker is installed, but its daemon doesn't answer."""


class SocketForbidden(EngineError):
    """This user may not open the daemon's socket."""


class BuildxMissing(EngineError):
    """docker can't build images with BuildKit."""


class BaseUnreachable(EngineError):
    """An image's base is missing here and could not be pulled."""


class ImageBuildFailed(EngineError):
    """BuildKit could not build an image."""


class WrongToolchainHere(EngineError):
    """Engine `here` was asked for a step of another toolchain."""


class StepFailed(LitekilnError):
    """A step's program ended with an error."""

    exit_code = 6


class StepRefused(StepFailed):
    """A step's program refused its input, with a reason."""


class RefusedEverywhere(StepRefused):
    """A step's program refused its input for a reason that holds in every toolchain."""


class StepCrashed(StepFailed):
    """A native library crashed a step's program: in most cases the interpreter, on the model it ran."""


class StepKilled(StepFailed):
    """A step's program was killed, most often because memory ran out."""


class StepTimeout(StepFailed):
    """A step's program ran longer than it may."""


class InputChanged(StepFailed):
    """A file that a step reads changed between the plan and the step."""


class StoreError(LitekilnError):
    """The store can't be used."""

    exit_code = 7


class DiskFull(StoreError):
    """No space left."""


class StoreCorrupt(StoreError):
    """A store entry was changed after it was finished."""


class NetworkError(LitekilnError):
    """Something could not be fetched over the network."""

    exit_code = 8


class Unhealthy(LitekilnError):
    """`inv doctor` found a failure: litekiln can't work on this machine."""

    exit_code = 9


class DownloadFailed(NetworkError):
    """A file could not be fetched from its server."""


class DownloadStalled(NetworkError):
    """A server stopped sending in the middle."""


class NotFoundOnServer(NetworkError):
    """The server has no such file."""


class SourceError(LitekilnError):
    """A model's source can't be used as it is."""

    exit_code = 10


class HashMismatch(SourceError):
    """An archive's hash is not the one that the recipe names."""


class SizeMismatch(SourceError):
    """An archive's size is not the expected one."""


class UnsafeArchive(SourceError):
    """An archive holds something that must not be unpacked."""


class UnsafeModel(SourceError):
    """A model has operators that do more than compute."""


class BrokenArchive(SourceError):
    """An archive is cut off, damaged, locked by a password, or no archive at all."""


class CalibrationError(LitekilnError):
    """Calibration pictures are missing or too few. Variants that need none are still built."""

    exit_code = 11


class BundleError(LitekilnError):
    """A bundle or its report is missing or damaged."""

    exit_code = 12
