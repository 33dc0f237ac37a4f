#!/bin/sh
# `invoke` inside a toolchain image: the mounted checkout's tasks where there is one, else the image's own on the mounted folder.
set -eu
if [ -e tasks.py ]; then
    exec /opt/litekiln/host/bin/python -m invoke "$@"
fi
exec /opt/litekiln/host/bin/python -m invoke --search-root /opt/litekiln/code "$@"
