"""The steps' own modules that need no TensorFlow, in the tests' Python."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "steps"))
