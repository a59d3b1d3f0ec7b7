"""A picture: one upright image, or the frames of an animation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pyvips
from service_kit.texts import sentence

from image_processor.imaging.color import in_srgb
from image_processor.imaging.errors import UnsuitableImageError

__all__ = ["PAGE_SIZES", "Picture", "Shrink", "UnsuitableImageError", "frames_of", "joined", "with_pages"]

Shrink = Callable[[float], pyvips.Image]
"""Opens the image again, shrunk by at most this factor, as far as the decoder of its format can. A drawing is rendered
at exactly this factor, which may be below 1."""

PAGE_SIZES = "page-sizes"
"""A metadata field: width x height of each page of a document that has several."""


@dataclass(frozen=True)
class Picture:
    """Frames of one size, in order; a still image has one.

    :param width: pixels of the upright frame, also if ``frames`` were shrunk while they were decoded.
    :param shrink: set until something is decoded, for formats that can be decoded smaller.
    :param is_drawing: the image is rendered, and sharp at every size.
    """

    frames: Sequence[pyvips.Image]
    width: int
    height: int
    shrink: Shrink | None = None
    is_drawing: bool = False

    @classmethod
    def of(cls, frames: Sequence[pyvips.Image]) -> Self:
        """:raises UnsuitableImageError: the frames differ in size."""
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

    def in_srgb(self) -> "Picture":
        """Return the picture in gray or sRGB, also when it is decoded smaller."""
        shrink = self.shrink
        shrunk = None if shrink is None else lambda factor: in_srgb(shrink(factor))
        return replace(self, frames=[in_srgb(frame) for frame in self.frames], shrink=shrunk)

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
