"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("pixmill")
    except PackageNotFoundError:
        # The package runs from a copy of the sources.
        return "0"


VERSION = _installed()
