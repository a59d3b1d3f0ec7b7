"""A picture: one upright image, or the frames of an animation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pyvips

from image_processor.imaging.colour import in_srgb
from image_processor.imaging.errors import UnsuitableImageError

__all__ = ["PAGE_SIZES", "Picture", "Shrink", "UnsuitableImageError", "frames_of", "joined", "with_pages"]

Shrink = Callable[[float], pyvips.Image]
"""Opens the image again, smaller by about this factor and never by more, as its format can at little cost; a drawing by
the factor itself, and below 1 larger."""

PAGE_SIZES = "page-sizes"
"""A field of metadata: width x height of each of a document's pages, where there are several."""


@dataclass(frozen=True)
class Picture:
    """Frames of one size, in order; a still image has one.

    :param width: pixels of the upright frame, exact even where ``frames`` were shrunk while they were decoded.
    :param shrink: set while nothing has been decoded yet, for formats that can be decoded smaller.
    :param is_drawing: it is rendered, sharp at every size.
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
            raise UnsuitableImageError("The frames of this animation would differ in size.")
        return cls(frames, first.width, first.height)

    @property
    def first(self) -> pyvips.Image:
        return self.frames[0]

    def map(self, change: Callable[[pyvips.Image], pyvips.Image]) -> "Picture":
        """The picture with every frame changed."""
        return Picture.of([change(frame) for frame in self.frames])

    def in_srgb(self) -> "Picture":
        """The picture as gray or sRGB, also where it is decoded smaller."""
        shrink = self.shrink
        shrunk = None if shrink is None else lambda factor: in_srgb(shrink(factor))
        return replace(self, frames=[in_srgb(frame) for frame in self.frames], shrink=shrunk)

    def at_least(self, width: float, height: float) -> Sequence[pyvips.Image]:
        """Its frames, perhaps shrunk, but neither side below that many pixels."""
        factor = min(self.width / width, self.height / height)
        if self.shrink is None or factor == 1:
            return self.frames
        if self.is_drawing:
            return [self.shrink(factor)]
        # Where a side does not divide, its last pixel would stand for less than the others, and shift them all.
        fitting = [power for power in (2, 4, 8) if power <= factor and self.width % power == self.height % power == 0]
        return [self.shrink(max(fitting))] if fitting else self.frames


def frames_of(image: pyvips.Image) -> int:
    """How many frames the image's file has."""
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def with_pages(image: pyvips.Image, frames: int, sizes: Sequence[tuple[int, int]]) -> pyvips.Image:
    """Return the image with so many frames, and these sizes of its file's pages, among its metadata."""
    if frames < 2 and not image.get_typeof("n-pages"):
        return image
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "n-pages", max(1, frames))
    if len(sizes) > 1:
        listed = " ".join(f"{width}x{height}" for width, height in sizes)
        image.set_type(pyvips.GValue.gstr_type, PAGE_SIZES, listed)
    return image


def joined(picture: Picture) -> pyvips.Image:
    """All frames, one below the other, with ``page-height`` set, as libvips saves them."""
    if len(picture.frames) == 1:
        return picture.first
    roll = pyvips.Image.arrayjoin(list(picture.frames), across=1).copy()
    roll.set_type(pyvips.GValue.gint_type, "page-height", picture.first.height)
    return roll
