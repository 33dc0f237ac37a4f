"""Write docs/report.schema.json from the types of litekiln/bundles/report_format.py.

.litekiln/host/bin/python tools/report_schema.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.bundles.report_schema import report_schema  # noqa: E402 - the path above comes first


def main() -> None:
    target = ROOT / "docs" / "report.schema.json"
    target.write_text(json.dumps(report_schema(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
