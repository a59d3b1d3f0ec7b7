"""Remembers which results were removed, so that nothing is kept that was on its way at that moment."""

from collections import deque
from collections.abc import Collection
from itertools import islice

from image_processor.render.processes.job import StoredFile

MOST_REMEMBERED = 10_000
"""What began before more removals than this counts as removed: it is rendered once more."""


class Removals:
    """The latest removals of results by their files.

    :ivar count: the number of removals; note it before a file is looked up, for :meth:`concern`.
    """

    def __init__(self) -> None:
        self.count = 0
        self._latest = deque[tuple[int, str | None]](maxlen=MOST_REMEMBERED)

    def add(self, file_id: int, sha256: str | None) -> None:
        """Note that the results of a file, and of others with the same bytes, are removed.

        :param sha256: that of the file; ``None`` if it no longer exists.
        """
        self.count += 1
        self._latest.append((file_id, sha256))

    def concern(self, files: Collection[StoredFile], since: int) -> bool:
        """Return whether results of one of these files were removed after ``count`` had the value ``since``."""
        missed = self.count - since
        if missed > len(self._latest):
            return True
        ids = {file.file_id for file in files}
        digests = {file.sha256 for file in files}
        return any(file_id in ids or sha256 in digests for file_id, sha256 in islice(reversed(self._latest), missed))
