"""Converts CIELAB samples of a TIFF that libvips misinterprets."""

import pyvips

from image_processor.imaging.color import FROM_SIXTEEN_BITS


def from_cielab(image: pyvips.Image, *, signed: bool) -> pyvips.Image:
    """Convert 8-bit or 16-bit samples to CIELAB (TIFF 6.0, 23; Adobe Photoshop TIFF Technical Notes).

    :param signed: whether a* and b* are signed; if not, their zero is at the middle of the range.
    """
    white, unit = (65_535 if signed else 65_280, 256) if image.format == "ushort" else (255, 1)
    chroma = image[1:3] / unit
    chroma = (chroma > 127).ifthenelse(chroma - 256, chroma) if signed else chroma - 128
    lab = (image[0] * (100 / white)).bandjoin(chroma)
    if image.bands > 3:
        lab = lab.bandjoin(image[3:] / (257 if image.format == "ushort" else 1))
    return _marked(lab) if image.format == "ushort" else lab.copy(interpretation="lab")


def with_alpha_of_255(image: pyvips.Image) -> pyvips.Image:
    """Return 16-bit CIELAB with its alpha, which libvips misreads as signed, scaled to 0 … 255."""
    if image.bands == 3:
        return image
    alpha = (image[3] < 0).ifthenelse(image[3] + 65_536, image[3]) / 257
    colors = image[0:3].copy(interpretation="labs").labs2lab()
    return _marked(colors.bandjoin(alpha))


def _marked(lab: pyvips.Image) -> pyvips.Image:
    lab = lab.copy(interpretation="lab")
    lab.set_type(pyvips.GValue.gint_type, FROM_SIXTEEN_BITS, 1)
    return lab
