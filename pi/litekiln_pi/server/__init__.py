"""The web server: the page, live frames and detections, detection in a visitor's picture, and metrics."""

from litekiln_pi.server.app import create_app
from litekiln_pi.server.running import serve, serve_fleet
from litekiln_pi.server.settings import Limits, Settings

__all__ = ["Limits", "Settings", "create_app", "serve", "serve_fleet"]
