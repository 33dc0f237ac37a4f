"""The Pi's runtime, natively: the same code and the same modules of steps/ as in the image."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "pi"), str(ROOT / "steps")]
