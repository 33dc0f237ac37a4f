"""Every error litekiln raises on purpose: one tree, one exit code per kind, three parts each.

Raised anywhere, printed in one place (`cli.reporting_errors`). A traceback is shown only with `--debug`.
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
        """The same, for `--json`."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "what": self.what,
            "cause": self.cause,
            "remedy": self.remedy,
            **self.details,
        }


class UsageError(LitekilnError):
    """An argument that can't be right."""

    exit_code = 2


class RecipeError(LitekilnError):
    """A recipe, toolchain file or other file of the project that can't be used as it is."""

    exit_code = 3


class ToolchainError(LitekilnError):
    """A pinned environment that can't be made or doesn't match its pins."""

    exit_code = 4


class LockOutOfDate(ToolchainError):
    """requirements.lock doesn't say what requirements.in asks for."""


class WheelMissing(ToolchainError):
    """A locked package has no build for this machine."""


class InterpreterMissing(ToolchainError):
    """The toolchain's Python isn't on this machine."""


class EngineError(LitekilnError):
    """An engine that can't run steps."""

    exit_code = 5


class DockerMissing(EngineError):
    """No docker on this machine."""


class DaemonUnreachable(EngineError):
    """docker is there, its daemon doesn't answer."""


class SocketForbidden(EngineError):
    """The daemon's socket may not be opened by this user."""


class BuildxMissing(EngineError):
    """docker can't build images with BuildKit."""


class BaseUnreachable(EngineError):
    """An image's base can neither be found here nor pulled."""


class ImageBuildFailed(EngineError):
    """BuildKit refused."""


class WrongToolchainHere(EngineError):
    """Engine `here` was asked for a step of another toolchain."""


class StepFailed(LitekilnError):
    """A step's program ended with an error."""

    exit_code = 6


class StepRefused(StepFailed):
    """A step's program found a reason not to do what was asked."""


class StepCrashed(StepFailed):
    """A native library ended a step's program: in most cases an interpreter, by the model it ran."""


class StepKilled(StepFailed):
    """A step's program was killed, most often for want of memory."""


class StepTimeout(StepFailed):
    """A step's program ran longer than it may."""


class StoreError(LitekilnError):
    """The store can't be used."""

    exit_code = 7


class DiskFull(StoreError):
    """No space left."""


class StoreCorrupt(StoreError):
    """A finished entry isn't what it was when it was finished."""


class NetworkError(LitekilnError):
    """Something that must come over the network didn't."""

    exit_code = 8


class Unhealthy(LitekilnError):
    """`inv doctor` found something that keeps every engine from working."""

    exit_code = 9


class DownloadFailed(NetworkError):
    """A file can't be fetched from its server."""


class DownloadStalled(NetworkError):
    """A server stopped sending in the middle."""


class NotFoundOnServer(NetworkError):
    """The server says that it has no such file."""


class SourceError(LitekilnError):
    """A model's source that can't be used as it is."""

    exit_code = 10


class HashMismatch(SourceError):
    """An archive isn't the one that the recipe names."""


class SizeMismatch(SourceError):
    """An archive has another length than it should."""


class UnsafeArchive(SourceError):
    """An archive holds what must not be unpacked."""


class BrokenArchive(SourceError):
    """An archive that is cut off, damaged, locked by a password, or none at all."""


class CalibrationError(LitekilnError):
    """Pictures to calibrate with are missing or too few; what needs none is built all the same."""

    exit_code = 11


class BundleError(LitekilnError):
    """A folder or file that should be a bundle or its report, and is not, or is damaged."""

    exit_code = 12
