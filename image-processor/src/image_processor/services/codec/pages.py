"""The page of a file that was asked for."""

from image_processor.services.codec.errors import ImageError


def check_page(page: int | None, pages: int) -> None:
    """:raises ImageError: the file has fewer pages than the one that was asked for."""
    if page is not None and page > pages:
        has = "1 page" if pages == 1 else f"{pages:,} pages"
        raise ImageError(f"There is no page {page}: the image has {has}.")
