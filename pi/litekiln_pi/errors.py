"""What goes wrong, in words for the person in front of the Pi: what failed, why, what to do."""


class PiError(Exception):
    """Ends the program with this text, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class BadUse(PiError):
    """Arguments that can't be meant."""

    exit_code = 2


class BadBundle(PiError):
    """The bundle in the image is not one that can be run."""

    exit_code = 3


class SelftestFailed(PiError):
    """The model sees something else than it did when it was verified."""

    exit_code = 4


class SourceLost(Exception):
    """A source that isn't there, or stopped giving frames. A live one is waited for; the text says what is missing."""


class BadPicture(Exception):
    """A file that can't be looked at. `status` is what a web server answers."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
