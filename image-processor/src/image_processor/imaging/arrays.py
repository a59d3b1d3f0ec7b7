"""Images as NumPy arrays and back, for what OpenCV does better."""

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.colour import in_eight_bits

Pixels = NDArray[numpy.uint8]
DeepPixels = NDArray[numpy.uint8] | NDArray[numpy.uint16] | NDArray[numpy.float32]
"""Of 8 or 16 bits or in floating point, as the image."""


def pixels_of(image: pyvips.Image) -> Pixels:
    """The image as an array of height × width × bands, 8 bits each."""
    values = in_eight_bits(image).numpy()
    return numpy.ascontiguousarray(values, dtype="uint8").reshape(image.height, image.width, image.bands)


def deep_pixels_of(image: pyvips.Image) -> DeepPixels:
    """Return the image as an array of height × width × bands, of its own depth."""
    values: DeepPixels = numpy.ascontiguousarray(image.numpy()).reshape(image.height, image.width, image.bands)
    return values


def with_pixels(image: pyvips.Image, pixels: DeepPixels) -> pyvips.Image:
    """Return the image, its metadata kept, with other pixels, of its own depth or of 8 bits."""
    made = pyvips.Image.new_from_array(numpy.ascontiguousarray(pixels))
    made = made * 257 if image.format == "ushort" and pixels.dtype == numpy.uint8 else made
    # An operation's result has the metadata of its first image; one pixel of it is enough.
    bearer = image[0].crop(0, 0, 1, 1).cast(made.format).copy_memory()
    return bearer.insert(made, 0, 0, expand=True).cast(image.format).copy(interpretation=image.interpretation)
