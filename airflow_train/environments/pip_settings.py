"""What this machine's pip is told about indexes and certificates, in uv's words where uv has none of its own."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

#: option of pip → variable of uv, and others of uv that say the same.
_OPTIONS = {
    "index-url": ("UV_DEFAULT_INDEX", ("UV_INDEX_URL", "UV_CONFIG_FILE")),
    "extra-index-url": ("UV_INDEX", ("UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")),
    "find-links": ("UV_FIND_LINKS", ("UV_CONFIG_FILE",)),
    "trusted-host": ("UV_INSECURE_HOST", ("UV_CONFIG_FILE",)),
    "cert": ("SSL_CERT_FILE", ()),
}
#: Each in the place of an index of uv's own.
_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONFIG_FILE")
#: As pip reads them.
_TRUE = ("y", "yes", "t", "true", "on", "1")
#: Which Python is meant is always said.
_MISLEADING = ("VIRTUAL_ENV", "UV_PYTHON", "CONDA_PREFIX", "UV_PROJECT_ENVIRONMENT")
#: Where uv keeps what it is told.
_CONFIG = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
_OF_UV = (Path("/etc/uv/uv.toml"), _CONFIG / "uv" / "uv.toml")


def for_uv() -> dict[str, str]:
    """The environment of this process as uv should see it."""
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    parser, own = _files(), _own()
    for option, (variable, others) in _OPTIONS.items():
        value = None if own and others else _value(parser, option)
        if value and not any(environment.get(name) for name in (variable, *others)):
            environment[variable] = _places(value) if option == "find-links" else " ".join(value.split())
    # of several indexes the newest version wins, as with pip: a line must mean the same wherever it is built
    environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return environment


def no_index() -> bool:
    """Is pip told to ask no index, and uv nothing else? There is no variable of uv's for that."""
    if _own() or any(os.environ.get(name) for name in _INDEXES):
        return False
    return _value(_files(), "no-index").strip().lower() in _TRUE


def _own() -> bool:
    return any(path.exists() for path in _OF_UV)


def _places(value: str) -> str:
    """Those that are there: pip passes over others, uv fails."""
    paths = [one if "://" in one else os.path.abspath(os.path.expanduser(one)) for one in value.split()]
    return ",".join(one for one in paths if "://" in one or os.path.exists(one))


def _value(parser: configparser.ConfigParser, option: str) -> str:
    """A variable beats the user's file, that beats the machine's."""
    said = os.environ.get("PIP_" + option.upper().replace("-", "_"), "")
    return said or next(
        (found for section in ("install", "global") if (found := parser.get(section, option, fallback=""))),
        "",
    )


def _files() -> configparser.ConfigParser:
    home = Path("~/.pip/pip.conf").expanduser()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    named = os.environ.get("PIP_CONFIG_FILE") or os.devnull
    try:
        parser.read(["/etc/pip.conf", home, _CONFIG / "pip" / "pip.conf", named], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return configparser.ConfigParser()  # pip itself says what is wrong with it
    return parser
