"""The page of a file that was asked for."""

from image_processor.services.codec.errors import ImageError


def check_page(page: int | None, pages: int, unread: str | None = None) -> None:
    """Compare the page that was asked for with the pages that can be read.

    :param unread: why no others can be read, a sentence; ``None`` where there are no others.
    :raises ImageError: there is no such page.
    """
    if page is not None and page > pages:
        if unread is not None:
            raise ImageError(f"{unread}.")
        has = "1 page" if pages == 1 else f"{pages:,} pages"
        raise ImageError(f"There is no page {page}: the image has {has}.")
