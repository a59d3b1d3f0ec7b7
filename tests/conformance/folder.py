"""Finds the folder of facts."""

import os
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "PIXMILL_CONFORMANCE"
_SIBLING = Path(__file__).parents[2].parent / "shared" / "conformance"


def folder() -> Path | None:
    """Return the folder of the facts; ``None`` if it is missing, as in a checkout of the project alone."""
    found = Path(os.environ.get(VARIABLE, _SIBLING))
    return found if found.is_dir() else None


def files() -> Sequence[Path]:
    """Return the files with facts."""
    found = folder()
    return sorted(found.glob("*.json")) if found else []


MISSING = f"The facts of conformance are neither in {VARIABLE} nor in ../shared/conformance: nothing is judged."
