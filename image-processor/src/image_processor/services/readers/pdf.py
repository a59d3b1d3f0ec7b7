"""Reads PDF: one page on white, at a resolution or at the size that a step of the plan needs."""

from functools import partial
from pathlib import Path

import pypdfium2
import pyvips
from pypdfium2 import raw
from service_kit.texts import sentence

from image_processor.imaging.source import DOTS_PER_INCH, Source
from image_processor.services.codec.pages import check_page
from image_processor.services.readers.opened import DamagedError, Opened

_POINTS_PER_INCH = 72
_BANDS = 3
_MOST_LISTED = 1000
"""Maximum number of pages whose sizes are listed; a file of a few bytes may claim a million pages."""


def open_image(source: Path, wanted: Source) -> Opened:
    """Return the requested page, or the first."""
    try:
        document = pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError as error:
        raise DamagedError(_reason(str(error))) from error
    if len(document) == 0:
        raise DamagedError(sentence("the PDF has no page"))
    check_page(wanted.page, len(document))
    number, dots = (wanted.page or 1) - 1, wanted.dpi or DOTS_PER_INCH["pdf"]
    width, height = _size(document, number, dots)
    return Opened(
        "pdf",
        width,
        height,
        lossless=True,
        pixels=partial(_rendered, document, number, dots, width, height),
        at_size=partial(_rendered, document, number, dots),
        frames=len(document),
        pages=[_size(document, page, dots) for page in range(min(len(document), _MOST_LISTED))],
    )


def _size(document: pypdfium2.PdfDocument, number: int, dots: int) -> tuple[int, int]:
    width, height = (max(1, round(side * dots / _POINTS_PER_INCH)) for side in document.get_page_size(number))
    return width, height


def _reason(reason: str) -> str:
    return sentence("the PDF needs a password") if "password" in reason.lower() else reason


def _rendered(document: pypdfium2.PdfDocument, number: int, dots: int, width: int, height: int) -> pyvips.Image:
    page = document[number]
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
    line = pyvips.Image.new_from_memory(bytes(bitmap.buffer), bitmap.stride, height, 1, "uchar")
    flat = line.crop(0, 0, width * _BANDS, height)
    rendered = pyvips.Image.new_from_memory(flat.write_to_memory(), width, height, _BANDS, "uchar")
    dots_per_millimeter = dots / 25.4
    return rendered.copy(interpretation="srgb", xres=dots_per_millimeter, yres=dots_per_millimeter)
