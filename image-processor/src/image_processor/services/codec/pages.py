"""Checks the requested page of a file."""

from service_kit.texts import counted, sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError


def check_page(page: int | None, pages: int, unread: str | None = None) -> None:
    """Check that the requested page can be read.

    :param pages: the number of readable pages.
    :param unread: why the other pages cannot be read, as a sentence; ``None`` if there are no others.
    :raises ImageError: there is no such page, or it cannot be read.
    """
    if page is not None and page > pages:
        if unread is not None:
            raise ImageError(sentence("{unread}.", unread=unread), Cause.PAGE_NOT_FOUND)
        has = counted("{pages:,} page", "{pages:,} pages", "pages", pages=pages)
        detail = sentence("There is no page {page}: the image has {has}.", page=page, has=has)
        raise ImageError(detail, Cause.PAGE_NOT_FOUND)
