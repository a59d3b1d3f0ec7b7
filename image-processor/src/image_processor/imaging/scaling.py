"""Images made larger or smaller."""

import pyvips

from image_processor.imaging.alpha import on_premultiplied

_INTERPOLATORS = {"nearest": "nearest", "linear": "bilinear"}


def scaled(image: pyvips.Image, width: int, height: int, kernel: str = "lanczos3") -> pyvips.Image:
    """The image with exactly that size; colours are weighed by their alpha."""
    if (image.width, image.height) == (width, height):
        return image
    return on_premultiplied(image, lambda bands: resampled(bands, width, height, kernel))


def resampled(bands: pyvips.Image, width: int, height: int, kernel: str) -> pyvips.Image:
    """Bands, whatever they are, with exactly that size.

    Pixels are areas: the middle of the first of two that become one lies a quarter of the way. (libvips' own resize
    enlarges to the size of the kernel's grid, half a pixel of the result aside.)
    """
    across, down = width / bands.width, height / bands.height
    if min(across, down) < 1:
        bands = bands.resize(min(across, 1), vscale=min(down, 1), kernel=kernel)
    across, down = width / bands.width, height / bands.height
    if max(across, down) == 1:
        return bands
    return bands.affine(
        [across, 0, 0, down],
        interpolate=pyvips.Interpolate.new(_INTERPOLATORS.get(kernel, "bicubic")),
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        oarea=[0, 0, width, height],
        extend="copy",
    )
