# The types of smoke.py, which is part of every toolchain image's tag: see protocol.pyi.

from typing import Any

def smoke(args: dict[str, Any]) -> dict[str, Any]: ...
