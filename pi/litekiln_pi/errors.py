"""The errors. Their texts tell people what failed, why, and what to do."""


class PiError(Exception):
    """Ends the program with this text, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class BadUse(PiError):
    """Invalid arguments."""

    exit_code = 2


class BadBundle(PiError):
    """The bundle in the image can't be run."""

    exit_code = 3


class SelftestFailed(PiError):
    """The model's detections differ from those of its verification."""

    exit_code = 4


class LoopFailed(PiError):
    """A part of the loop has died, which is a bug: only a new start can help."""

    exit_code = 5


class SourceEnded(PiError):
    """A live source has ended for good, so no more frames can come."""

    exit_code = 6


class SourceLost(Exception):
    """A source is missing or gives no more frames. The text says what is missing; a live source is retried."""


class BadPicture(Exception):
    """A picture that can't be decoded. `status` is the HTTP status of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
