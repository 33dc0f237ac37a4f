"""Names with the number of their class before them, as Teachable Machine ("0 cardboard") and Coral ("0  person") write them."""

import re
from collections.abc import Sequence

from litekiln.formats.label_map import NO_NAME

NUMBERED = re.compile(r"(\d{1,5})(?:\s*[:=.)]\s*|\s+)(\S.*)")
MOST_HOLES = 50  # numbers that may be left out


def without_numbers(lines: Sequence[str]) -> list[str] | None:
    """The names by their numbers, `???` where one is left out; None unless every line has a number, rising from 0.

    Lines that count from 1 may be names: "1 euro", "2 euro".
    """
    found = [NUMBERED.fullmatch(line.strip()) for line in lines]
    numbered = [(int(each[1]), each[2]) for each in found if each]
    numbers = [number for number, _ in numbered]
    if not lines or len(numbered) < len(lines) or numbers[0] != 0 or numbers != sorted(set(numbers)):
        return None
    if numbers[-1] >= len(lines) + MOST_HOLES:
        return None
    names = dict(numbered)
    return [names.get(number, NO_NAME) for number in range(numbers[-1] + 1)]
