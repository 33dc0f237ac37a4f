"""The image's one entry point."""

import signal
import sys

ENDED_BY_SIGTERM = 128 + signal.SIGTERM
# First of all: a container's first process ignores the signal until something handles it, and loading takes seconds on a Pi.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED_BY_SIGTERM))

from litekiln_pi.main import main  # noqa: E402

sys.exit(main())
