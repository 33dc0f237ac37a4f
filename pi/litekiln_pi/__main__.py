"""The image's one entry point."""

import sys

from litekiln_pi.main import main

sys.exit(main())
