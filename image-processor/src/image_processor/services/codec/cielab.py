"""CIELAB of 8 bits in a TIFF, which libvips takes for a packed form of its own and refuses."""

import struct
from mmap import ACCESS_COPY, mmap
from pathlib import Path

import pyvips

from image_processor.services.codec import tiff


def open_cielab(source: Path, **options: object) -> pyvips.Image | None:
    """Return the TIFF with its samples as they stand in the file; None where no page has CIELAB of 8 bits.

    libvips reads another meaning of the samples, of which it knows nothing; the file does not change.
    """
    pages = [
        page for page in tiff.directories(source) if page.number(tiff.PHOTOMETRIC) == tiff.CIELAB and page.is_8_bit
    ]
    if not pages:
        return None
    with source.open("rb") as file:
        content = mmap(file.fileno(), 0, access=ACCESS_COPY)
    for page in pages:
        place = page.entries[tiff.PHOTOMETRIC].place
        content[place : place + 2] = struct.pack(f"{page.order}H", tiff.ICCLAB)
    return pyvips.Image.new_from_source(pyvips.Source.new_from_memory(content), "", **options)


def _is_refused(page: tiff.Directory) -> bool:
    return page.number(tiff.PHOTOMETRIC) == tiff.CIELAB and page.is_8_bit and (page.number(tiff.SAMPLES) or 0) >= 3


def from_cielab(image: pyvips.Image, *, signed: bool) -> pyvips.Image:
    """Return samples of 8 or 16 bits as CIELAB (TIFF 6.0, 23; Adobe Photoshop TIFF Technical Notes).

    :param signed: whether a* and b* are, or lie around the middle of their range.
    """
    white, unit = (65_280, 256) if image.format == "ushort" else (255, 1)
    chroma = image[1:3] / unit
    chroma = (chroma > 127).ifthenelse(chroma - 256, chroma) if signed else chroma - 128
    lab = (image[0] * (100 / white)).bandjoin(chroma)
    return (lab if image.bands == 3 else lab.bandjoin(image[3:])).copy(interpretation="lab")


def with_alpha_of_255(image: pyvips.Image) -> pyvips.Image:
    """Return CIELAB as libvips reads it of 16 bits, but its alpha, which was read as if it were signed, 0 to 255."""
    if image.bands == 3:
        return image
    alpha = (image[3] < 0).ifthenelse(image[3] + 65_536, image[3]) / 257
    colors = image[0:3].copy(interpretation="labs").labs2lab()
    return colors.bandjoin(alpha).copy(interpretation="lab")
