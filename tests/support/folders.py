"""Temporary folders for servers."""

import tempfile
from pathlib import Path

from tests.support import leftovers


def temporary_folder(name: str) -> Path:
    """Return a new folder that every user may enter, because PostgreSQL runs as a different user than the tests.

    pytest's own folders are unsuitable: each run of pytest closes their common parent to other users. A later test run
    removes the leftovers of this one.
    """
    place = leftovers.folder()
    place.mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
    folder.chmod(0o755)
    return folder
