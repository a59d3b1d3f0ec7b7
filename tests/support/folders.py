"""Temporary folders for servers."""

import tempfile
from pathlib import Path

from tests.support import leftovers


def temporary_folder(name: str) -> Path:
    """Return a new folder that every user may enter: PostgreSQL runs as another user than the tests.

    pytest's own folders do not serve: each run of pytest closes the folder of all runs to other users. A later test run
    removes what this one leaves.
    """
    place = leftovers.folder()
    place.mkdir(mode=0o755, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
    folder.chmod(0o755)
    return folder
