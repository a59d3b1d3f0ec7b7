"""Deferred steps for imagor: its operations before the filters, and overlaid images and texts."""

import math
from collections.abc import Mapping, Sequence

import pyvips
from pydantic import Field

from image_processor.algorithms.extend import average_color
from image_processor.algorithms.registry import Params, algorithm
from image_processor.algorithms.stamp import StampParams, stamp
from image_processor.algorithms.trim import TrimBox, TrimParams
from image_processor.imaging.alpha import faded
from image_processor.imaging.canvas import flattened
from image_processor.imaging.color import Color, in_srgb, pixel_of
from image_processor.imaging.composite import laid
from image_processor.imaging.files import Files
from image_processor.imaging.gravity import FocalPoint
from image_processor.imaging.picture import Picture
from image_processor.imaging.typeset import typeset
from image_processor.render.dialects.rounding import half_up
from image_processor.render.dialects.thumbor.filters import Canvas, PlacedFile, within
from image_processor.render.dialects.thumbor.url import digits
from image_processor.render.dialects.trimming import PeerTrim, left_by_trim
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size, deferred, own
from image_processor.render.plans.plan import step

Edges = tuple[float, float, float, float]
"""Left, top, right and bottom."""

_VERTICAL = {"top": "north", "bottom": "south"}
_HORIZONTAL = {"left": "west", "right": "east"}


class ImagorFrame(Deferred):
    """imagor's operations before the filters.

    :param crop: edges in pixels, or in shares; a right or lower edge of 0 stands for that of the picture.
    :param upscale: whether the picture may be enlarged.
    :param quick: whether imagor would decode the picture at its final size; it then rounds a side in proportion, and
        truncates it otherwise.
    :param focal: areas or points to keep near the center, in pixels or in shares.
    """

    turn: int = 0
    trim: TrimParams | None = None
    crop: Edges | None = None
    width: int = 0
    height: int = 0
    fit_in: bool = False
    adaptive: bool = False
    full: bool = False
    stretch: bool = False
    upscale: bool = True
    quick: bool = False
    halign: str = ""
    valign: str = ""
    smart: bool = False
    focal: list[tuple[float, ...]] = Field(default_factory=list)
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def sets_size(self) -> bool:
        return bool(self.width or self.height)

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        if self.turn:
            return [self._turned(), deferred(self.model_copy(update={"turn": 0}))]
        box = left_by_trim(picture, self.trim) if self.trim is not None else None
        return self._after_trim(Size(picture.width, picture.height), box)

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        if self.turn:
            size = Size(size.height, size.width) if self.turn % 180 else size
            return [self._turned(), *self._after_trim(size, None)]
        return self._after_trim(size, None)

    def _turned(self) -> PlannedStep:
        return step("rotate", {"angle": self.turn})

    def _after_trim(self, size: Size, trimmed: TrimBox | None) -> Sequence[PlannedStep]:
        steps, left, top, part = list[PlannedStep](), 0, 0, size
        if (box := self._box(size, trimmed)) is not None:
            left, top, right, bottom = box
            part = Size(right - left, bottom - top)
            steps.append(step("crop", {"left": left, "top": top, "width": part.width, "height": part.height}))
        steps += self._resized(part, self._focus(size, left, top, part))
        directions = (("horizontal", self.flip_horizontal), ("vertical", self.flip_vertical))
        return [*steps, *(step("flip", {"direction": direction}) for direction, wanted in directions if wanted)]

    def _box(self, size: Size, trimmed: TrimBox | None) -> TrimBox | None:
        """Return the part that both the crop and the trim keep; ``None`` for the whole picture."""
        left = top = right = bottom = 0.0
        if self.crop is not None and any(self.crop):
            left, top, right, bottom = self.crop
            if left < 1 and top < 1 and right <= 1 and bottom <= 1:
                left, right = half_up(left * size.width), half_up(right * size.width)
                top, bottom = half_up(top * size.height), half_up(bottom * size.height)
            # imagor never keeps the last column and row of a picture that it crops.
            right = min(right or math.inf, size.width - 1)
            bottom = min(bottom or math.inf, size.height - 1)
        if trimmed is not None:
            left, top = max(left, trimmed[0]), max(top, trimmed[1])
            right, bottom = min(right or math.inf, trimmed[2]), min(bottom or math.inf, trimmed[3])
        if right <= left or bottom <= top:
            return None
        return int(left), int(top), int(left) + int(right - left), int(top) + int(bottom - top)

    def _focus(self, size: Size, left: int, top: int, part: Size) -> FocalPoint | None:
        areas = [_area(area, size) for area in self.focal]
        areas = [area for area in areas if area[2] > area[0] and area[3] > area[1]]
        if not areas:
            return None
        weights = [(area[2] - area[0]) * (area[3] - area[1]) for area in areas]
        x = sum((area[0] + area[2]) / 2 * weight for area, weight in zip(areas, weights, strict=True)) / sum(weights)
        y = sum((area[1] + area[3]) / 2 * weight for area, weight in zip(areas, weights, strict=True)) / sum(weights)
        return FocalPoint(x=within((x - left) / part.width, 0, 1), y=within((y - top) / part.height, 0, 1))

    def _resized(self, size: Size, focus: FocalPoint | None) -> Sequence[PlannedStep]:
        width, height = self.width, self.height
        if self.adaptive and width and height and (size.width > size.height) != (width > height):
            width, height = height, width
        if self._is_at_once():
            return self._resized_at_once(size, width, height, focus)
        width, height = self._in_proportion(size, width, height)
        is_smaller = width < size.width or height < size.height
        if not (self.upscale or is_smaller):
            return ()
        if self.fit_in:
            if self.full:
                width, height = _around(size, width, height)
            return _scaled(size, min(width / size.width, height / size.height))
        if self.stretch:
            shrinks = width < size.width and height < size.height
            return _to(size, width, height) if self.upscale or shrinks else ()
        return self._covered(size, width, height, focus, self._gravity(), enlarge=True)

    def _is_at_once(self) -> bool:
        """Return whether imagor decodes the picture at its final size."""
        if not self.quick or self.fit_in:
            return self.quick
        if not (self.width and self.height):
            return not self.stretch
        is_centered = self.halign in ("", "center") and self.valign in ("", "middle")
        return self.stretch or self.smart or is_centered or not (self.halign and self.valign)

    def _resized_at_once(self, size: Size, width: int, height: int, focus: FocalPoint | None) -> Sequence[PlannedStep]:
        if not (width or height):
            return ()
        if width and height and not self.fit_in:
            if self.stretch:
                return _to(size, width, height)
            return self._covered(size, width, height, focus, self._gravity_at_once(), enlarge=self.upscale)
        scale = min(wanted / own_side for wanted, own_side in ((width, size.width), (height, size.height)) if wanted)
        return _scaled(size, scale if self.upscale else min(scale, 1.0))

    def _in_proportion(self, size: Size, width: int, height: int) -> tuple[int, int]:
        if not (width or height):
            return size.width, size.height
        if not width:
            width = max(1, size.width * height // size.height)
            width = width if self.upscale else min(width, size.width)
        if not height:
            height = max(1, size.height * width // size.width)
            height = height if self.upscale else min(height, size.height)
        return width, height

    def _covered(
        self, size: Size, width: int, height: int, focus: FocalPoint | None, gravity: str, *, enlarge: bool
    ) -> Sequence[PlannedStep]:
        if (size.width, size.height) == (width, height):
            return ()
        params: dict[str, object] = {
            "width": width,
            "height": height,
            "fit": "cover",
            "enlarge": enlarge,
            "gravity": gravity,
        }
        if focus is not None:
            params["focal"] = focus
        return (step("resize", params),)

    def _gravity(self) -> str:
        if self.smart:
            return "attention"
        return f"{_VERTICAL.get(self.valign, '')}{_HORIZONTAL.get(self.halign, '')}" or "center"

    def _gravity_at_once(self) -> str:
        """Return the gravity while decoding; libvips then knows only a low and a high end, of either axis."""
        gravity = self._gravity()
        ends = {"north": "northwest", "west": "northwest", "south": "southeast", "east": "southeast"}
        return ends.get(gravity, gravity)


def _area(numbers: Sequence[float], size: Size) -> Edges:
    """Return an area in pixels; a point is an area of one pixel."""
    left, top, *end = numbers
    is_share = left < 1 and top < 1 and all(edge <= 1 for edge in end)
    across, down = (size.width, size.height) if is_share else (1, 1)
    left, top = left * across, top * down
    if not end:
        return left, top, left + 1, top + 1
    return left, top, end[0] * across, end[1] * down


def _around(size: Size, width: int, height: int) -> tuple[int, int]:
    """Return the smallest size in the picture's proportions that covers a box."""
    ratio = size.width / size.height
    if ratio < width / height:
        return width, math.ceil(width / ratio)
    return math.ceil(height * ratio), height


def _scaled(size: Size, scale: float) -> Sequence[PlannedStep]:
    return _to(size, max(1, half_up(size.width * scale)), max(1, half_up(size.height * scale)))


def _to(size: Size, width: int, height: int) -> Sequence[PlannedStep]:
    if (size.width, size.height) == (width, height):
        return ()
    return (step("resize", {"width": width, "height": height}),)


class PartAfterwards(Deferred):
    """Crop the picture, as the filter ``crop`` does.

    :param left: pixels, or a share if below 1; the same applies to ``top``, ``width`` and ``height``.
    """

    left: float
    top: float
    width: float
    height: float

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        left, top = (
            within(_pixels(self.left, size.width), 0, size.width),
            within(_pixels(self.top, size.height), 0, size.height),
        )
        width = int(min(_pixels(self.width, size.width), size.width - left))
        height = int(min(_pixels(self.height, size.height), size.height - top))
        if width <= 0 or height <= 0:
            return ()
        return (step("crop", {"left": int(left), "top": int(top), "width": width, "height": height}),)


def _pixels(length: float, side: int) -> float:
    return length * side if 0 < length < 1 else length


class InProportion(Deferred):
    """Resize by a share, as the filter ``proportion`` does: into a box whose sides are truncated."""

    share: float

    def sets_size(self) -> bool:
        return True

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        width, height = int(size.width * self.share), int(size.height * self.share)
        if min(width, height) < 1:
            return ()
        return _scaled(size, min(width / size.width, height / size.height))


class PlacedOver(PlacedFile):
    """Put a file on the picture where imagor does, which drops fractions of a pixel."""

    def pixels_along(self, text: str, side: int) -> int:
        if text.endswith("p"):
            return digits(text[:-1]) * side // 100 if text[:-1].isdecimal() else 0
        if text.startswith("0."):
            return int(float(text) * side)
        return digits(text) if text.isdecimal() else 0

    def is_from_far(self, text: str, pixels: int) -> bool:
        return text.startswith("-") and pixels > 0


class AverageBehind(Deferred):
    """Put the average color behind transparent parts, as ``background_color(auto)`` does."""

    def lowered(self, size: Size) -> Sequence[PlannedStep]:  # noqa: ARG002 (the signature of every deferred step)
        return ()

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        if not picture.first.hasalpha():
            return ()
        return (step("flatten", {"background": _average(picture)}),)


class AverageCanvas(Deferred):
    """Put the picture on a canvas of its average color, also behind transparent parts, as ``fill(auto)`` does."""

    canvas: Canvas

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        return self.canvas.lowered(size)

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        return self.canvas.model_copy(update={"color": _average(picture)}).lowered_for(picture)


def _average(picture: Picture) -> str:
    """Return the average color; transparent parts count as white, as in imagor."""
    return average_color(flattened(picture.first, "#ffffff"))


NamedSteps = list[tuple[str, dict[str, object]]]
"""Steps as pairs of a name and params."""


def named(steps: Sequence[PlannedStep]) -> NamedSteps:
    """Return the steps in a form that the params of another step can contain."""
    # Not `exclude_defaults`: params of which one must be given would not be valid without one that has its default.
    # Nor `mode="json"`: it makes lists of the pairs within a step, which are then not valid.
    return [(planned.name, planned.params.model_dump(exclude_unset=True)) for planned in steps]


def restored(steps: NamedSteps) -> Sequence[PlannedStep]:
    """Return the steps from the form that :func:`named` returns."""
    return [
        PlannedStep(name, _DEFERRED[name].model_validate(params)) if name in _DEFERRED else step(name, params)
        for name, params in steps
    ]


class StillOnly(Deferred):
    """Steps that imagor skips for animations."""

    steps: NamedSteps

    def lowered(self, size: Size) -> Sequence[PlannedStep]:  # noqa: ARG002 (the signature of every deferred step)
        return restored(self.steps)

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        return restored(self.steps) if len(picture.frames) == 1 else ()


class InParent(Params):
    """A side of an overlaid image: in pixels, or the side of the image below minus some pixels.

    :param less: the pixels to subtract from the side of the image below; ``None`` if the side is in pixels.
    """

    pixels: int = 0
    less: int | None = None

    def is_set(self) -> bool:
        return self.less is not None or self.pixels > 0

    def of(self, side: int) -> int:
        """Return the side in pixels.

        :param side: the side of the image below.
        """
        return self.pixels if self.less is None else max(1, side - self.less)


class LaidOn(Deferred):
    """Overlay an image, after steps of its own, as the filter ``image`` does.

    :param color: the color of an area to overlay in place of a file.
    :param steps: steps of the overlaid image; the first is a frame, whose sides are ``width`` and ``height``.
    """

    place: PlacedOver
    color: Color | None = None
    width: InParent
    height: InParent
    steps: NamedSteps

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        (placed,) = self.place.lowered(size)
        (name, frame), *others = self.steps
        sides = {"width": self.width.of(size.width), "height": self.height.of(size.height)}
        steps = [(name, {**frame, **sides}), *others]
        return [step("composed", {**placed.params.model_dump(), "color": self.color, "steps": steps})]


class ComposedParams(StampParams):
    color: Color | None = Field(None, description="The color of an area in place of the other image.")
    steps: NamedSteps = Field(description="What is done with the other image first.")


@algorithm
def composed(picture: Picture, params: ComposedParams, files: Files) -> Picture:
    """Overlay another image, after steps of its own."""
    over = Picture.of([files.image(params.file_id) if params.color is None else pixel_of(params.color)])
    for planned in restored(params.steps):
        own_algorithm, own_params = planned.resolved()
        made = own_algorithm.apply(over, own_params, files)
        if not isinstance(made, Picture):
            raise TypeError(f"{planned.name} made no picture")
        over = made
    placed = StampParams.model_validate(params.model_dump(exclude={"color", "steps"}))
    made = stamp.apply(picture, placed, _Prepared(in_srgb(over.first)))
    if not isinstance(made, Picture):
        raise TypeError("stamp made no picture")
    return made


class _Prepared:
    """Returns the same prepared image for every id."""

    def __init__(self, image: pyvips.Image) -> None:
        self._image = image

    def image(self, file_id: int) -> pyvips.Image:  # noqa: ARG002 (the signature of Files)
        return self._image

    def text(self, file_id: int, max_bytes: int) -> str:
        raise LookupError(file_id, max_bytes)


class Labeled(Deferred):
    """Draw a text on the picture, as the filters ``label`` and ``text`` do.

    :param x: pixels or percent (``10p``) from the left, from the right if negative, or a word.
    :param size: the height of a line in pixels.
    """

    text: str
    x: str
    y: str
    size: int
    color: str
    alpha: float = 0.0
    bold: bool = False

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        place = PlacedOver(file_id=1, x=self.x, y=self.y)
        (placed,) = place.lowered(size)
        at = placed.params.model_dump(include={"gravity", "x", "y"})
        params = {"text": self.text, "size": self.size, "color": self.color, "bold": self.bold, **at}
        return [step("lettering", {**params, "opacity": within(100 - self.alpha, 0, 100)})]


class LetteringParams(Params):
    text: str = Field(min_length=1, max_length=1000)
    size: int = Field(ge=1, le=1000)
    color: Color = "#000000"
    bold: bool = False
    gravity: str = "northwest"
    x: int = 0
    y: int = 0
    opacity: float = Field(100.0, ge=0, le=100)


@algorithm
def lettering(image: pyvips.Image, params: LetteringParams) -> pyvips.Image:
    """Draw a text on the image at a position in pixels."""
    letters = typeset(params.text, params.size, params.color, bold=params.bold, outline=None)
    left = _beginning(params.gravity, params.x, image.width - letters.width, "west", "east")
    top = _beginning(params.gravity, params.y, image.height - letters.height, "north", "south")
    return laid(image, faded(letters, params.opacity / 100), left, top)


def _beginning(gravity: str, offset: int, room: int, near: str, far: str) -> int:
    if near in gravity:
        return offset
    return room - offset if far in gravity else room // 2 + offset


_DEFERRED: Mapping[str, type[Deferred]] = {
    deferred.title(): deferred
    for deferred in (
        ImagorFrame,
        AverageBehind,
        AverageCanvas,
        PartAfterwards,
        PeerTrim,
        StillOnly,
        LaidOn,
        Labeled,
        Canvas,
        InProportion,
        PlacedOver,
    )
}

for _algorithm in (composed, lettering):
    own(_algorithm)
