"""Reads sources directly from file-storage's blob folder if it is on this machine."""

from pathlib import Path
from typing import IO


class BlobFolder:
    """The folder of file-storage's blobs, ``<folder>/ab/cd/<sha256>``. A blob never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, sha256: str) -> bool:
        """Return whether the folder has the blob."""
        return self._path(sha256).is_file()

    def open(self, sha256: str) -> IO[bytes] | None:
        """Open the blob for reading; return ``None`` if the folder does not have it or it is not readable."""
        try:
            return self._path(sha256).open("rb")
        except (FileNotFoundError, PermissionError):
            return None

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:4] / sha256
