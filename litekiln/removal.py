"""What `inv clean` removed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Removal:
    """Something that went (or, in a dry run, would go)."""

    what: str
    size: int
