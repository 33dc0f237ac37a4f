"""Where this machine gets packages from: its own index and CA bundle, wherever they are configured.

uv reads only its own variables. Most machines behind a mirror are set up for pip, so pip's settings are passed on to uv.
"""

import configparser
import os
import re
from collections.abc import Mapping
from pathlib import Path

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")
UV_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf", "~/Library/Application Support/pip/pip.conf")

# What says where packages come from and how to get them. Any other variable (LD_PRELOAD, PYTHONPATH, UV_NO_BINARY) could change
# what is installed, and the environment's name doesn't know it.
PASSED_TO_UV = re.compile(
    r"HOME|PATH|TMPDIR|USER|LOGNAME|LANG|LC_\w+|XDG_\w+|NETRC|SSL_\w+|(?i:[a-z]+_proxy)"
    r"|UV_(?:\w*INDEX\w*|FIND_LINKS|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|KEYRING_PROVIDER|OFFLINE|CACHE_DIR|NO_CACHE"
    r"|CONFIG_FILE|NO_CONFIG|HTTP_\w+|REQUEST_TIMEOUT|CONCURRENT_\w+|LINK_MODE|PYTHON_\w+)"
)


def ca_bundle(environment: Mapping[str, str] = os.environ) -> str:
    """The machine's own CA bundle, or '' for the system's."""
    return next((environment[name] for name in CA_VARIABLES if environment.get(name)), "")


def index_url(environment: Mapping[str, str] = os.environ) -> str:
    """The machine's own package index, or '' for the public one: uv's variables, pip's variable, pip's files (the last wins)."""
    for name in (*UV_INDEX_VARIABLES, "PIP_INDEX_URL"):
        if environment.get(name):
            return environment[name]
    parser = configparser.RawConfigParser(strict=False)
    files = [Path(name).expanduser() for name in (*PIP_FILES, environment.get("PIP_CONFIG_FILE") or os.devnull)]
    try:
        parser.read(files, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return ""  # pip itself reports what is wrong with it
    return parser.get("global", "index-url", fallback="")


def package_environment() -> dict[str, str]:
    """The whole environment for uv, with this machine's package index and CA bundle."""
    passed = {name: value for name, value in os.environ.items() if PASSED_TO_UV.fullmatch(name)}
    found = {"UV_DEFAULT_INDEX": index_url(), "SSL_CERT_FILE": ca_bundle()}
    return {**passed, **{name: value for name, value in found.items() if value}}
