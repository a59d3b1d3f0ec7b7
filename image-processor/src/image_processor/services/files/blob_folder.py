"""Sources by the SHA-256 of their bytes, read where file-storage keeps them, on a machine that has its folder."""

from pathlib import Path
from typing import IO


class BlobFolder:
    """The blobs of file-storage: ``<folder>/ab/cd/<sha256>``, none of which ever changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, sha256: str) -> bool:
        """Whether the blob is here."""
        return self._path(sha256).is_file()

    def open(self, sha256: str) -> IO[bytes] | None:
        """The blob, for reading; ``None`` where it is not here, or not to be read."""
        try:
            return self._path(sha256).open("rb")
        except (FileNotFoundError, PermissionError):
            return None

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:4] / sha256
