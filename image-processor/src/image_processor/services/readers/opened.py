"""What a reader gives: the size of an image from its header, and its pixels when they are asked for."""

import errno
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyvips

from image_processor.imaging.picture import with_pages
from image_processor.services.codec.errors import ImageError, shortened
from image_processor.services.readers.metadata import Metadata, with_metadata

_OF_THE_FILE = (None, errno.EINVAL, errno.EOVERFLOW)
"""Error numbers of what a file's contents lead to: none where Pillow raises an error of its own, or those of a seek to
a place that a header names and that cannot be."""

_NO_MEMORY = re.compile(r"out of memory|allocating \d+ bytes failed", re.IGNORECASE)
"""How OpenJPEG and libheif say it."""


class DamagedError(Exception):
    """The file is not what its first bytes promise; the message is the decoder's reason."""


@dataclass(frozen=True)
class Opened:
    """An image whose header has been read.

    :param format: the name that ``info`` reports.
    :param width: pixels of the upright image, and so is ``height``.
    :param lossless: the file keeps every pixel, and so must a result in the format of its source.
    :param pixels: decodes the image.
    :param pages: width and height of each of a document's pages, where it can have several; of the first, where
        there are very many.
    :param frames: how many frames or pages the file has.
    :param unread: why the file's other frames are not read, a sentence; ``None`` where there are no others.
    :param at_size: renders a drawing at another width and height; ``None`` where there are pixels to begin with.
    """

    format: str
    width: int
    height: int
    lossless: bool
    pixels: Callable[[], pyvips.Image]
    metadata: Metadata = Metadata()  # noqa: RUF009 (a tuple cannot be changed)
    frames: int = 1
    pages: Sequence[tuple[int, int]] = ()
    unread: str | None = None
    at_size: Callable[[int, int], pyvips.Image] | None = None

    def image(self) -> pyvips.Image:
        """Return the decoded, upright image with its metadata.

        :raises DamagedError: the pixels cannot be decoded.
        """
        with reading():
            image = self._with_metadata(self.pixels())
        if (image.width, image.height) != (self.width, self.height):
            raise DamagedError("the header claims another size than the pixels have")
        return image

    def rendered(self, width: int, height: int) -> pyvips.Image:
        """Return the drawing at this size, or any other image as it is.

        :raises DamagedError: it cannot be rendered.
        """
        if self.at_size is None:
            return self.image()
        with reading():
            return self._with_metadata(self.at_size(width, height))

    def _with_metadata(self, image: pyvips.Image) -> pyvips.Image:
        complete = with_pages(with_metadata(image, self.metadata), self.frames, self.pages)
        complete.set_type(pyvips.GValue.gstr_type, "vips-loader", self.format)
        return complete


@contextmanager
def reading() -> Iterator[None]:
    """Blame the file for what a decoder raises, but not for the machine's want of memory or disk.

    :raises MemoryError: the decoder had too little memory.
    :raises DamagedError: the decoder raised something else.
    """
    try:
        yield
    except (DamagedError, ImageError, MemoryError):
        raise
    except (struct.error, EOFError) as error:
        raise DamagedError("the file is cut short or corrupt") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _OF_THE_FILE:
            raise
        message = str(getattr(error, "detail", None) or getattr(error, "strerror", None) or error).strip()
        if _NO_MEMORY.search(message):
            raise MemoryError(message) from error
        raise DamagedError(_reason(message)) from error


def _reason(message: str) -> str:
    lines = message.splitlines()
    return (shortened(lines[-1]) if lines else "") or "the decoder gave no reason"
