"""A bundle's manifest, as tests compare it."""

import json

from litekiln.hashing import canonical_json


def without_maker(manifest: str) -> str:
    """A manifest in the form that is equal whichever engine made the bundle."""
    value = json.loads(manifest)
    for name in ("made_by", "measured_here"):
        value.pop(name)
    return canonical_json(value)
