"""The image's entry point."""

import signal
import sys

ENDED_BY_SIGTERM = 128 + signal.SIGTERM
# Before the imports, which take seconds on a Pi: a container's first process ignores the signal until a handler is set.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED_BY_SIGTERM))

from litekiln_pi.place import end_with_parent  # noqa: E402

end_with_parent()

from litekiln_pi.main import main  # noqa: E402

sys.exit(main())
