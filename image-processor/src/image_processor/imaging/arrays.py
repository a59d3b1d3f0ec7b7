"""Converts images to NumPy arrays and back, for operations that OpenCV does better."""

import numpy
import pyvips
from numpy.typing import NDArray

from image_processor.imaging.color import in_eight_bits

Pixels = NDArray[numpy.uint8]
DeepPixels = NDArray[numpy.uint8] | NDArray[numpy.uint16] | NDArray[numpy.float32]
"""Pixels in the depth of the image: 8 bits, 16 bits or floating point."""


def pixels_of(image: pyvips.Image) -> Pixels:
    """Return the image as an array of height × width × bands with 8 bits each."""
    values = in_eight_bits(image).numpy()
    return numpy.ascontiguousarray(values, dtype="uint8").reshape(image.height, image.width, image.bands)


def deep_pixels_of(image: pyvips.Image) -> DeepPixels:
    """Return the image as an array of height × width × bands in its own depth."""
    values: DeepPixels = numpy.ascontiguousarray(image.numpy()).reshape(image.height, image.width, image.bands)
    return values


def with_pixels(image: pyvips.Image, pixels: DeepPixels) -> pyvips.Image:
    """Return the image with other pixels and the same metadata; the pixels have its own depth or 8 bits."""
    made = pyvips.Image.new_from_array(numpy.ascontiguousarray(pixels))
    made = made * 257 if image.format == "ushort" and pixels.dtype == numpy.uint8 else made
    # The result of an operation has the metadata of its first image; one pixel of it is enough.
    carrier = image[0].crop(0, 0, 1, 1).cast(made.format).copy_memory()
    return carrier.insert(made, 0, 0, expand=True).cast(image.format).copy(interpretation=image.interpretation)
