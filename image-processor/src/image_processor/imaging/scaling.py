"""Images made larger or smaller."""

import pyvips

from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.arrays import deep_pixels_of, with_pixels
from image_processor.imaging.interpolation import interpolated

_MIDDLE = 0.5 + 1e-6
"""Of a pixel; a little more, so that what lies on an edge is in the pixel that begins there."""


def scaled(image: pyvips.Image, width: int, height: int, kernel: str = "lanczos3") -> pyvips.Image:
    """The image with exactly that size; colors are weighed by their alpha."""
    if (image.width, image.height) == (width, height):
        return image
    return on_premultiplied(image, lambda bands: resampled(bands, width, height, kernel))


def resampled(bands: pyvips.Image, width: int, height: int, kernel: str) -> pyvips.Image:
    """Bands, whatever they are, with exactly that size.

    Pixels are areas: the middle of the first of two that become one lies a quarter of the way. (libvips' own resize
    enlarges to the size of the kernel's grid, half a pixel of the result aside.)
    """
    across, down = width / bands.width, height / bands.height
    if kernel == "nearest":
        return _nearest(bands, width, height)
    if min(across, down) < 1:
        bands = bands.resize(min(across, 1), vscale=min(down, 1), kernel=kernel)
    across, down = width / bands.width, height / bands.height
    if max(across, down) == 1:
        return bands
    if kernel != "linear":
        bands = bands.copy_memory()
        return with_pixels(bands, interpolated(deep_pixels_of(bands), width, height, kernel))
    return bands.affine(
        [across, 0, 0, down],
        interpolate=pyvips.Interpolate.new("bilinear"),
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        oarea=[0, 0, width, height],
        extend="copy",
        premultiplied=True,
    )


def _nearest(bands: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Return for each pixel the one that its middle lies in (libvips cuts the places off)."""
    return bands.affine(
        [width / bands.width, 0, 0, height / bands.height],
        interpolate=pyvips.Interpolate.new("nearest"),
        odx=-_MIDDLE,
        ody=-_MIDDLE,
        oarea=[0, 0, width, height],
        extend="copy",
        premultiplied=True,
    )
