"""`sprat version`: what is installed, for a report of a defect."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Final

from sprat_cli.options import Json
from sprat_cli.terminal import say, say_json

EPILOG = """\b
Examples:
  sprat version
  sprat version --json

\b
Exit codes:
  0  shown
  2  wrong usage"""

_LIBRARIES: Final = ("aiokafka", "ctranslate2", "faststream", "redis", "tokenizers")
"""The third parties whose versions change what Sprat does."""


def version(*, as_json: Json = False) -> None:
    """Show the versions of Sprat, of Python and of the libraries that matter most."""
    versions = {"sprat": _version_of("sprat"), "python": platform.python_version()}
    versions |= {name: _version_of(name) for name in _LIBRARIES}
    if as_json:
        say_json({"type": "version", **versions})
        return
    for name, value in versions.items():
        say(f"{name} {value or 'is not installed'}")


def _version_of(distribution: str) -> str | None:
    try:
        return installed_version(distribution)
    except PackageNotFoundError:
        return None
