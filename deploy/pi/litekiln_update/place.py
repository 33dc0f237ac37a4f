"""Where things are on a Pi."""

import os
import platform
from pathlib import Path

ROOT = Path(os.environ.get("LITEKILN_ROOT", "/"))  # tests have roots of their own, and other machines
MACHINE = os.environ.get("LITEKILN_MACHINE", platform.machine())
PROCESSOR = {"aarch64": "arm64", "x86_64": "amd64"}.get(MACHINE, MACHINE)  # by the name that images use
ETC = ROOT / "etc/litekiln"
CHOSEN, COMPOSE = ETC / "image.env", ETC / "compose.yaml"
LOG, LOCK = ROOT / "var/log/litekiln-update.log", ROOT / "run/lock/litekiln-update.lock"
CGROUPS = ROOT / "sys/fs/cgroup/cgroup.controllers"
