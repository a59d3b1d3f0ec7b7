"""The return type of readers: an image whose size is known and whose pixels are decoded on demand."""

import errno
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.picture import with_pages
from image_processor.services.codec.errors import ImageError, worded
from image_processor.services.readers.metadata import Metadata, with_metadata

_OF_THE_FILE = (None, errno.EINVAL, errno.EOVERFLOW)
"""Error numbers caused by the file's content: None if Pillow raised the OSError, others for an impossible offset."""

_NO_MEMORY = re.compile(r"out of memory|allocating \d+ bytes failed", re.IGNORECASE)
"""Out-of-memory messages of OpenJPEG and libheif."""


class DamagedError(Exception):
    """The file is damaged, or not in the format of its first bytes; the message is the decoder's reason."""


@dataclass(frozen=True)
class Opened:
    """An image whose header has been read.

    :param format: the format name in the report of ``info``.
    :param width: pixels of the upright image, as is ``height``.
    :param lossless: the file is lossless, and a result in the source's format must be, too.
    :param pixels: decodes the image.
    :param frames: number of frames or pages in the file.
    :param pages: width and height of a document's pages; of very many pages, only of the first.
    :param unread: why the file's other frames are not read, as a sentence; ``None`` if there are no others.
    :param pixel_bytes: maximum bytes of a decoded pixel.
    :param at_size: renders a vector drawing at another width and height; ``None`` if the file has pixels.
    """

    format: str
    width: int
    height: int
    lossless: bool
    pixels: Callable[[], pyvips.Image]
    metadata: Metadata = Metadata()  # noqa: RUF009 (a tuple is immutable)
    frames: int = 1
    pages: Sequence[tuple[int, int]] = ()
    unread: str | None = None
    pixel_bytes: int = 4
    at_size: Callable[[int, int], pyvips.Image] | None = None

    def image(self) -> pyvips.Image:
        """Return the decoded, upright image with its metadata.

        :raises DamagedError: the pixels cannot be decoded.
        """
        with reading():
            image = self._with_metadata(self.pixels())
        if (image.width, image.height) != (self.width, self.height):
            raise DamagedError(sentence("the size in the header does not match that of the pixels"))
        return image

    def rendered(self, width: int, height: int) -> pyvips.Image:
        """Return a vector drawing at this size; return an image with pixels unchanged.

        :raises DamagedError: the drawing cannot be rendered, or the pixels cannot be decoded.
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
    """Convert a decoder's exceptions to DamagedError, unless the machine lacks memory or disk space.

    :raises MemoryError: the decoder ran out of memory.
    :raises DamagedError: the decoder raised any other error.
    """
    try:
        yield
    except (DamagedError, ImageError, MemoryError):
        raise
    except (struct.error, EOFError) as error:
        raise DamagedError(sentence("the file is truncated or corrupt")) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in _OF_THE_FILE:
            raise
        message = str(getattr(error, "detail", None) or getattr(error, "strerror", None) or error).strip()
        if _NO_MEMORY.search(message):
            raise MemoryError(message) from error
        raise DamagedError(_reason(message)) from error


def _reason(message: str) -> str:
    lines = message.splitlines()
    return worded(lines[-1] if lines else "")
