"""What a source has to say beside its frames: to the error stream, since standard output is for results."""

import sys
from collections.abc import Callable

Tell = Callable[[str], None]


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
