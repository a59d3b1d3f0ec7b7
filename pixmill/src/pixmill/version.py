"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("pixmill")
    except PackageNotFoundError:
        # Run from a copy of the sources.
        return "0"


VERSION = _installed()
