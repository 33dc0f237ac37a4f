"""A list of an image's components in CycloneDX, for scanners: the lock's packages, Debian's libraries, the model."""

import json
import uuid
from typing import Any

from litekiln import __version__
from litekiln.pi.packages import Package

SPEC = "1.5"
NAMESPACE = uuid.UUID("6f2f0f4b-6a0b-5c1e-9c55-2f1d1a3c7e10")  # of litekiln's lists: the same content has the same serial number
SPDX = {  # classifiers whose words are not SPDX identifiers
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Python Software Foundation License": "PSF-2.0",
}


def sbom(name: str, packages: list[Package], model: dict[str, str]) -> dict[str, Any]:
    """The list without Python and Debian's packages, which are known only in the image: pi/lay_out.py adds them."""
    components = [_package(each) for each in packages]
    components.append(
        {
            "type": "machine-learning-model",
            "bom-ref": f"model/{model['name']}",
            "name": model["name"],
            "version": model["version"],
            "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
            **_licenses(model["license"]),
        }
    )
    described = {"type": "container", "bom-ref": name, "name": name, "version": __version__}
    tool = {"components": [{"type": "application", "name": "litekiln", "version": __version__}]}
    listed = {"metadata": {"component": described, "tools": tool}, "components": components}
    serial = uuid.uuid5(NAMESPACE, json.dumps(listed, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": SPEC, "serialNumber": f"urn:uuid:{serial}", "version": 1, **listed}


def _package(package: Package) -> dict[str, Any]:
    address = f"pkg:pypi/{package.name}@{package.version}"
    described = {"type": "library", "bom-ref": address, "name": package.name, "version": package.version, "purl": address}
    return {**described, **_licenses(package.license)}


def _licenses(words: str) -> dict[str, Any]:
    """The license field: SPDX expressions as such, other words as a name."""
    known = SPDX.get(words, words)
    if not known:
        return {}
    if any(sign in known for sign in (" AND ", " OR ", " WITH ")):
        return {"licenses": [{"expression": known}]}
    return {"licenses": [{"license": {"name": known}}]}
