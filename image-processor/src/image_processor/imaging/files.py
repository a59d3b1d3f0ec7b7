"""The files, beside the source, that an algorithm's parameters name."""

from typing import Protocol

import pyvips


class Files(Protocol):
    """Gives them by their ids, read under the same limits as the source."""

    def image(self, file_id: int) -> pyvips.Image:
        """The first frame, upright, gray or sRGB."""

    def text(self, file_id: int, max_bytes: int) -> str:
        """The content of a text file in UTF-8.

        :raises UnsuitableImageError: it is longer, or no text.
        """
