"""Gives algorithms the files that their parameters name, in addition to the source."""

from typing import Protocol

import pyvips


class Files(Protocol):
    """Reads the files by their ids, under the same limits as the source."""

    def image(self, file_id: int) -> pyvips.Image:
        """Return the first frame, upright, in gray or sRGB."""

    def text(self, file_id: int, max_bytes: int) -> str:
        """Return the content of a text file in UTF-8.

        :raises UnsuitableImageError: the file is larger, or is not text.
        """
