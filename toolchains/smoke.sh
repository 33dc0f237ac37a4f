#!/bin/sh
# The image build's last RUN: the smoke program, under the same protocol that engines use.
set -eu
mkdir -p /tmp/box/out
cd /tmp/box
ln -s /run/smoke/steps steps
/opt/python/bin/python3 - <<'PYTHON' > request.json
import json, tomllib
spec = tomllib.load(open("/opt/litekiln/toolchain/toolchain.toml", "rb"))
print(json.dumps({"format": 1, "args": {name: spec.get(name, []) for name in ("python", "tensorflow", "imports")}}))
PYTHON
PATH=/opt/toolchain/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 CUDA_VISIBLE_DEVICES=-1 TF_CPP_MIN_LOG_LEVEL=2 \
    /opt/toolchain/bin/python steps/smoke.py
cat out/result.json
cd /
rm -rf /tmp/box
