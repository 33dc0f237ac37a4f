"""What a check of the machine found."""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """`FAIL` keeps litekiln from working; `WARN` takes a choice away or may matter later."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what to do when it isn't right."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
