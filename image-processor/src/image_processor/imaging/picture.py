"""A picture: one upright image, or the frames of an animation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy
import pyvips
from service_kit.texts import sentence

from image_processor.imaging.arrays import Pixels
from image_processor.imaging.color import in_srgb
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.imaging.later import LaterFrame

__all__ = ["PAGE_SIZES", "Picture", "Plain", "Shrink", "UnsuitableImageError", "frames_of", "joined", "with_pages"]

Shrink = Callable[[float], pyvips.Image]
"""Opens the image again, shrunk by at most this factor, as far as the decoder of its format can. A drawing is rendered
at exactly this factor, which may be below 1."""

Small = Callable[[int, int], Pixels | None]
"""Decodes the image at this width and height, at most its own, without libvips; returns ``None`` if it cannot."""

PAGE_SIZES = "page-sizes"
"""A metadata field: width x height of each page, if the document has several."""


@dataclass(frozen=True)
class Plain:
    """A still image of 8 bits, gray or RGB, that needs no libvips: its pipelines take most of the time for few pixels.

    :param small: set until something is decoded.
    :param pixels: set once they are decoded: height × width × bands.
    :param profile: the ICC profile of its file.
    :param is_srgb: the colors are those of sRGB, or gray.
    :param has_credits: the file names an artist or a copyright.
    """

    small: Small | None
    pixels: Pixels | None
    profile: bytes | None
    is_srgb: bool
    has_credits: bool


@dataclass(frozen=True)
class Picture:
    """Frames of one size, in order; a still image has one.

    :param width: pixels of the upright frame, also if ``frames`` were shrunk while they were decoded.
    :param shrink: set until something is decoded, for formats that can be decoded smaller.
    :param is_drawing: the image is rendered, and sharp at every size.
    :param plain: set while the image can do without libvips; ``frames`` are then opened on first access.
    """

    frames: Sequence[pyvips.Image]
    width: int
    height: int
    shrink: Shrink | None = None
    is_drawing: bool = False
    plain: Plain | None = None

    @classmethod
    def of(cls, frames: Sequence[pyvips.Image]) -> Self:
        """Return the picture of these frames.

        :raises UnsuitableImageError: the frames differ in size.
        """
        first = frames[0]
        if any((frame.width, frame.height) != (first.width, first.height) for frame in frames):
            raise UnsuitableImageError(sentence("The frames of this animation would differ in size."))
        return cls(frames, first.width, first.height)

    @property
    def first(self) -> pyvips.Image:
        return self.frames[0]

    def map(self, change: Callable[[pyvips.Image], pyvips.Image]) -> "Picture":
        """Return the picture with every frame changed."""
        return Picture.of([change(frame) for frame in self.frames])

    def crop(self, left: int, top: int, width: int, height: int) -> "Picture":
        """Return a part of the picture."""
        if self.plain is not None and self.plain.pixels is not None:
            return self._with_pixels(self.plain, self.plain.pixels[top : top + height, left : left + width])
        return self.map(lambda frame: frame.crop(left, top, width, height))

    def small(self, width: int, height: int) -> "Picture | None":
        """Return the picture shrunk by a Lanczos kernel with three lobes; ``None`` if that takes libvips."""
        if self.plain is None or self.plain.small is None:
            return None
        pixels = self.plain.small(width, height)
        return None if pixels is None else self._with_pixels(self.plain, pixels)

    def _with_pixels(self, plain: Plain, pixels: Pixels) -> "Picture":
        pixels = numpy.ascontiguousarray(pixels)
        height, width, bands = pixels.shape

        def opened() -> pyvips.Image:
            made = pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar")
            # The result has the metadata of the first image; the second covers it, so that none of it is decoded.
            return self.first.crop(0, 0, 1, 1).insert(made, 0, 0, expand=True)

        return Picture(LaterFrame(opened), width, height, plain=replace(plain, small=None, pixels=pixels))

    def in_srgb(self) -> "Picture":
        """Return the picture in gray or sRGB, also when it is decoded smaller."""
        if self.plain is not None and self.plain.is_srgb:
            return self
        shrink = self.shrink
        shrunk = None if shrink is None else lambda factor: in_srgb(shrink(factor))
        return replace(self, frames=[in_srgb(frame) for frame in self.frames], shrink=shrunk, plain=None)

    def at_least(self, width: float, height: float) -> Sequence[pyvips.Image]:
        """Return the frames, perhaps shrunk, with sides of at least that many pixels."""
        factor = min(self.width / width, self.height / height)
        if self.shrink is None or factor == 1:
            return self.frames
        if self.is_drawing:
            return [self.shrink(factor)]
        # If a side is not a multiple, its last pixel would cover less than the others, which would all be shifted.
        fitting = [power for power in (2, 4, 8) if power <= factor and self.width % power == self.height % power == 0]
        return [self.shrink(max(fitting))] if fitting else self.frames


def frames_of(image: pyvips.Image) -> int:
    """Return the number of frames in the file of the image."""
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def with_pages(image: pyvips.Image, frames: int, sizes: Sequence[tuple[int, int]]) -> pyvips.Image:
    """Return the image with the number of frames and the sizes of the pages of its file in its metadata."""
    if frames < 2 and not image.get_typeof("n-pages"):
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "n-pages", max(1, frames))
    if len(sizes) > 1:
        listed = " ".join(f"{width}x{height}" for width, height in sizes)
        image.set_type(pyvips.GValue.gstr_type, PAGE_SIZES, listed)
    return image


def joined(picture: Picture) -> pyvips.Image:
    """Return all frames stacked in one image with ``page-height``, which is how libvips saves them."""
    if len(picture.frames) == 1:
        return picture.first
    roll = pyvips.Image.arrayjoin(list(picture.frames), across=1).copy()
    roll.set_type(pyvips.GValue.gint_type, "page-height", picture.first.height)
    return roll
