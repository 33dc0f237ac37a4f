"""Write docs/report.schema.json and docs/device.schema.json from the types of litekiln/bundles/.

.litekiln/host/bin/python tools/report_schema.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from litekiln.bundles.report_schema import device_schema, report_schema  # noqa: E402 - the path above comes first


def main() -> None:
    for name, schema in (("report", report_schema()), ("device", device_schema())):
        target = ROOT / "docs" / f"{name}.schema.json"
        target.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
