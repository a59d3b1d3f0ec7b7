"""Square blocks of one color."""

import pyvips

from image_processor.imaging.alpha import on_premultiplied


def in_blocks(image: pyvips.Image, size: int) -> pyvips.Image:
    """Each block of ``size`` × ``size`` pixels, from the upper left on, in its mean color."""

    def blocks(bands: pyvips.Image) -> pyvips.Image:
        across, down = -(-bands.width // size) * size, -(-bands.height // size) * size
        whole = bands.embed(0, 0, across, down, extend="copy")
        return whole.shrink(size, size).zoom(size, size).crop(0, 0, bands.width, bands.height)

    return on_premultiplied(image, blocks)
