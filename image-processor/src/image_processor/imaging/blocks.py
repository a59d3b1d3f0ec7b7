"""Fills square blocks with a single color."""

import pyvips

from image_processor.imaging.alpha import on_premultiplied


def in_blocks(image: pyvips.Image, size: int) -> pyvips.Image:
    """Fill each block of ``size`` × ``size`` pixels, counted from the upper left, with its mean color."""

    def blocks(bands: pyvips.Image) -> pyvips.Image:
        across, down = -(-bands.width // size) * size, -(-bands.height // size) * size
        whole = bands.embed(0, 0, across, down, extend="copy")
        return whole.shrink(size, size).zoom(size, size).crop(0, 0, bands.width, bands.height)

    return on_premultiplied(image, blocks)
