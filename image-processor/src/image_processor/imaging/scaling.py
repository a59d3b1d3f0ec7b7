"""Enlarges and shrinks images."""

import pyvips

from image_processor.imaging.alpha import on_premultiplied
from image_processor.imaging.arrays import deep_pixels_of, with_pixels
from image_processor.imaging.interpolation import interpolated
from image_processor.imaging.samples import mixed

_MIDDLE = 0.5 + 1e-6
"""The middle of a pixel. The small excess assigns a position on an edge to the pixel that begins there."""


def scaled(image: pyvips.Image, width: int, height: int, kernel: str = "lanczos3") -> pyvips.Image:
    """Return the image with exactly that size; colors are weighted by their alpha."""
    if (image.width, image.height) == (width, height):
        return image
    return mixed(
        image, lambda straight: on_premultiplied(straight, lambda bands: resampled(bands, width, height, kernel))
    )


def resampled(bands: pyvips.Image, width: int, height: int, kernel: str) -> pyvips.Image:
    """Return the bands with exactly that size.

    Pixels are areas: where two become one, the middle of the first is at a quarter of it. (The resize of libvips would
    shift an enlarged image by half a pixel.)
    """
    across, down = width / bands.width, height / bands.height
    if kernel == "nearest":
        return _nearest(bands, width, height)
    if bands.format == "ushort":
        bands = bands.cast("float")  # for 16 bits libvips has weights in 4096ths, whose sum is not 1
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
    """Give each pixel the value of the source pixel that contains its middle (libvips truncates positions)."""
    return bands.affine(
        [width / bands.width, 0, 0, height / bands.height],
        interpolate=pyvips.Interpolate.new("nearest"),
        odx=-_MIDDLE,
        ody=-_MIDDLE,
        oarea=[0, 0, width, height],
        extend="copy",
        premultiplied=True,
    )
