"""The web server: the page, the picture and detections as they come, a picture of the visitor's own, and figures for machines."""

from litekiln_pi.server.app import create_app
from litekiln_pi.server.running import serve
from litekiln_pi.server.settings import Limits, Settings

__all__ = ["Limits", "Settings", "create_app", "serve"]
