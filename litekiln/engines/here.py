"""Engine `here`: litekiln runs inside a toolchain image, as container jobs of CI systems do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litekiln.engines.base import Box, OnLine
from litekiln.engines.names import HERE
from litekiln.engines.process import ProcessBox
from litekiln.errors import WrongToolchainHere
from litekiln.leases import Lease
from litekiln.toolchains.toolchain import Toolchain

TOOLCHAIN_VARIABLE = "LITEKILN_TOOLCHAIN"
IMAGE_TOOLCHAIN = Path("/opt/toolchain")
IMAGE_LOCK = Path("/opt/litekiln/toolchain/requirements.lock")


def toolchain_here() -> str:
    """The toolchain whose image litekiln runs in, or ''."""
    return os.environ.get(TOOLCHAIN_VARIABLE, "")


class HereEngine:
    """Runs the steps that this image's toolchain can do, and says which image the others need."""

    name = HERE

    def __init__(self, lease: Lease, *, root: Path = IMAGE_TOOLCHAIN, lock: Path = IMAGE_LOCK) -> None:
        self._lease = lease
        self._root = root
        self._lock = lock

    @contextmanager
    def open(self, toolchain: Toolchain, say: OnLine) -> Iterator[Box]:  # noqa: ARG002 - nothing takes long here
        here = toolchain_here()
        if not here:
            msg = "engine 'here' works only inside a toolchain image"
            raise WrongToolchainHere(msg, remedy="use --engine docker or --engine venv, or leave --engine out")
        if here != toolchain.name:
            msg = f"this step needs toolchain {toolchain.name!r}; this image is {here!r}"
            cause = "one image holds one toolchain"
            raise WrongToolchainHere(
                msg, cause=cause, remedy=f"run the same command in the {toolchain.name} image on the same folder first"
            )
        if self._lock.read_bytes() != toolchain.lock.read_bytes():
            msg = f"this image was built from another {toolchain.name} lock than toolchains/{toolchain.name}/requirements.lock"
            raise WrongToolchainHere(msg, remedy=f"rebuild it: inv images --toolchain {toolchain.name}")
        with ProcessBox(self.name, self._root / "bin" / "python", self._lease.staging) as box:
            yield box
