"""Trims pictures as imagor and imgproxy do, which differs from ``trim`` of the catalog."""

from collections.abc import Sequence

from image_processor.algorithms.trim import TrimBox, TrimParams, balanced
from image_processor.imaging.color import in_color, in_eight_bits, rgba
from image_processor.imaging.picture import Picture
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size
from image_processor.render.plans.plan import step

_MAGENTA = "#ff00ff"


class PeerTrim(Deferred):
    """Cut off edges of one color; leave animations unchanged."""

    trim: TrimParams

    def lowered(self, size: Size) -> Sequence[PlannedStep]:  # noqa: ARG002 (the signature of every deferred step)
        return ()

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        if (box := left_by_trim(picture, self.trim)) is None:
            return ()
        left, top, right, bottom = box
        return (step("crop", {"left": left, "top": top, "width": right - left, "height": bottom - top}),)


def left_by_trim(picture: Picture, params: TrimParams) -> TrimBox | None:
    """Return what is left after the trim; ``None`` for an animation, or if the picture has only one color.

    Both peers put magenta behind transparent parts first, and their libvips ignores lines of one pixel.
    """
    if len(picture.frames) > 1:
        return None
    image = in_eight_bits(in_color(picture.first))
    if image.hasalpha():
        image = image.flatten(background=list(rgba(_MAGENTA)[:3]))
    x, y = (0, 0) if params.corner == "northwest" else (image.width - 1, image.height - 1)
    background = image(x, y) if params.background is None else list(rgba(params.background)[:3])
    left, top, width, height = image.find_trim(threshold=params.threshold, background=background)
    if not (width and height):
        return None
    return balanced((left, top, left + width, top + height), picture, params.equal)
