"""The user's own code among the steps' modules: names are the user's, whatever the steps call theirs."""

import subprocess
import sys
from pathlib import Path

from tests.unit.conftest import ROOT

IMPORT = """
import sys
from unittest.mock import MagicMock
for name in ("tensorflow", "tflite_file.flat"):
    sys.modules[name] = MagicMock()
sys.path[0] = sys.argv[1]
from detection import boxes
from source_model import function
module = function._import(sys.argv[2], "graph.net")
print(module.boxes.WHOSE, module.detector.WHOSE, module.machine_faults.WHOSE, boxes.__name__)
"""


def test_a_module_of_the_users_may_have_the_name_of_a_steps_own(tmp_path: Path) -> None:
    """Also a folder, and one of which the step has modules that the user's lacks."""
    files = {
        "graph/__init__.py": "",
        "graph/net.py": "import machine_faults\nfrom detection import boxes, detector\n",
        "detection/__init__.py": "",
        "detection/boxes.py": "WHOSE = 'mine'\n",
        "detection/detector.py": "WHOSE = 'mine, too'\n",
        "machine_faults.py": "WHOSE = 'and this'\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    argv = [sys.executable, "-c", IMPORT, str(ROOT / "steps"), str(tmp_path)]
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "mine mine, too and this detection.boxes\n"
