"""The requested page of a file."""

from image_processor.services.codec.errors import ImageError


def check_page(page: int | None, pages: int, unread: str | None = None) -> None:
    """Check that the requested page can be read.

    :param pages: how many pages can be read.
    :param unread: why the other pages cannot be read, as a sentence; ``None`` if there are no others.
    :raises ImageError: there is no such page, or it cannot be read.
    """
    if page is not None and page > pages:
        if unread is not None:
            raise ImageError(f"{unread}.")
        has = "1 page" if pages == 1 else f"{pages:,} pages"
        raise ImageError(f"There is no page {page}: the image has {has}.")
