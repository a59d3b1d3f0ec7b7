"""PDF: its first page at 150 dots an inch on white, or at the size that a step of the plan needs."""

from functools import partial
from pathlib import Path

import pypdfium2
import pyvips
from pypdfium2 import raw

from image_processor.services.readers.opened import DamagedError, Opened

DOTS_PER_INCH = 150
_POINTS_PER_INCH = 72
_BANDS = 3


def open_image(source: Path) -> Opened:
    """Return the first page."""
    try:
        document = pypdfium2.PdfDocument(source)
    except pypdfium2.PdfiumError as error:
        raise DamagedError(_reason(str(error))) from error
    if len(document) == 0:
        raise DamagedError("the PDF has no page")
    points = document.get_page_size(0)
    width, height = (max(1, round(side * DOTS_PER_INCH / _POINTS_PER_INCH)) for side in points)
    at_size = partial(_rendered, document)
    return Opened("pdf", width, height, lossless=True, pixels=partial(at_size, width, height), at_size=at_size)


def _reason(reason: str) -> str:
    return "the PDF can be read with a password only" if "password" in reason.lower() else reason


def _rendered(document: pypdfium2.PdfDocument, width: int, height: int) -> pyvips.Image:
    page = document[0]
    bitmap = pypdfium2.PdfBitmap.new_native(width, height, raw.FPDFBitmap_BGR, rev_byteorder=True)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    raw.FPDF_RenderPageBitmap(bitmap, page, 0, 0, width, height, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
    line = pyvips.Image.new_from_memory(bytes(bitmap.buffer), bitmap.stride, height, 1, "uchar")
    flat = line.crop(0, 0, width * _BANDS, height)
    rendered = pyvips.Image.new_from_memory(flat.write_to_memory(), width, height, _BANDS, "uchar")
    dots_per_millimeter = DOTS_PER_INCH / 25.4
    return rendered.copy(interpretation="srgb", xres=dots_per_millimeter, yres=dots_per_millimeter)
