"""imgproxy's pipeline after the trim: crop, scale, rotate, cut, filters, extend, pad, background, watermark."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from image_processor.algorithms.resize import Kernel
from image_processor.imaging.faces import faces_of
from image_processor.imaging.params import Params
from image_processor.imaging.picture import Picture
from image_processor.render.dialects.imgproxy.placing import Place, around, placed
from image_processor.render.dialects.imgproxy.scale import ScaleParams, scale
from image_processor.render.dialects.imgproxy.sizes import ResizingType, SizeOptions, Sizes, sizes_of
from image_processor.render.dialects.rounding import half_even, half_up
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size, deferred
from image_processor.render.plans.plan import step

COMPASS: Mapping[str, str] = {
    "ce": "center",
    "no": "north",
    "noea": "northeast",
    "ea": "east",
    "soea": "southeast",
    "so": "south",
    "sowe": "southwest",
    "we": "west",
    "nowe": "northwest",
}
_TRANSPARENT = "#00000000"
_CONTENT = ("sm", "faces")
"""The gravities that depend on the pixels. Without a face, imgproxy keeps the part that draws the eye."""

FindFaces = Callable[[], Sequence[Place]]
"""Finds the faces in the picture that a frame is applied to, the largest first."""


class Gravity(Params):
    """A gravity with its offsets: pixels, or shares below 1."""

    kind: Literal["no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce", "fp", "sm", "faces"] = "ce"
    x: float = 0.0
    y: float = 0.0


class Mark(Params):
    """A watermark: a file, or a text."""

    file_id: int | None = None
    text: str = ""
    opacity: float = 1.0
    position: Literal["no", "so", "ea", "we", "noea", "nowe", "soea", "sowe", "ce", "re"] = "ce"
    x: float = 0.0
    y: float = 0.0
    scale: float = 0.0
    width: int = 0
    height: int = 0
    rotation: float = 0.0


class NamedStep(Params):
    """A step of the catalog within a deferred one."""

    algorithm: str
    params: dict[str, object] = Field(default_factory=dict)


class ImgproxyFrame(Deferred):
    """imgproxy's operations on a picture.

    :param filters: steps of the catalog between the cut and the extension.
    """

    resizing_type: ResizingType = "fit"
    width: int = 0
    height: int = 0
    min_width: int = 0
    min_height: int = 0
    zoom_x: float = 1.0
    zoom_y: float = 1.0
    dpr: float = 1.0
    enlarge: bool = False
    extend: Gravity | None = None
    extend_ratio: Gravity | None = None
    gravity: Gravity = Gravity()
    crop_width: float = 0.0
    crop_height: float = 0.0
    crop_gravity: Gravity | None = None
    crop_ratio: float = 0.0
    crop_ratio_enlarge: bool = False
    rotate: int = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    background: str | None = None
    kernel: Kernel = "lanczos3"
    max_side: int = 0
    filters: list[NamedStep] = Field(default_factory=list)
    mark: Mark | None = None

    def sets_size(self) -> bool:
        return bool(
            self.width or self.height or self.min_width or self.min_height or (self.zoom_x, self.zoom_y) != (1, 1)
        )

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        return self._lowered(size, lambda: ())

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        def faces() -> Sequence[Place]:
            return [Place(*face) for face in faces_of(picture.first)]

        size = Size(picture.width, picture.height)
        if self.gravity.kind != "faces" or not self._crops():
            return self._lowered(size, faces)
        # The faces for the cut are looked for in the cropped picture, but before it is scaled down.
        crop_steps, _, _ = self._cropped(*self._sides(size), faces)
        rest = self.model_copy(update={"crop_width": 0.0, "crop_height": 0.0, "crop_gravity": None})
        return [*crop_steps, deferred(rest)]

    def _crops(self) -> bool:
        return bool(self.crop_width or self.crop_height)

    def _sides(self, size: Size) -> tuple[int, int]:
        """Return the sides of the rotated picture, to which crop and sizes refer; or those before the rotation."""
        return (size.height, size.width) if self.rotate % 180 else (size.width, size.height)

    def _lowered(self, size: Size, find_faces: FindFaces) -> Sequence[PlannedStep]:
        crop_steps, width, height = self._cropped(*self._sides(size), find_faces)
        sizes = sizes_of(width, height, self._wanted())
        return [
            *crop_steps,
            *self._scaled(sizes),
            *self._turned(),
            *self._cut(sizes, find_faces),
            *(step(filter_.algorithm, filter_.params) for filter_ in self.filters),
            *self._extended(sizes),
            *self._marked(sizes),
        ]

    def _wanted(self) -> SizeOptions:
        return SizeOptions(
            self.resizing_type,
            self.width,
            self.height,
            self.min_width,
            self.min_height,
            self.zoom_x,
            self.zoom_y,
            self.dpr,
            self.enlarge,
            self.extend is not None,
            self.extend_ratio is not None,
            self.padding,
            self.max_side,
        )

    def _cropped(self, width: int, height: int, find_faces: FindFaces) -> tuple[list[PlannedStep], int, int]:
        """Return the step that crops, and the width and height after it, as the rotated picture has them."""
        part_width, part_height = _crop_side(width, self.crop_width), _crop_side(height, self.crop_height)
        if self.crop_ratio and self._crops():
            part_width, part_height = _in_ratio(
                part_width, part_height, self.crop_ratio, width, height, enlarge=self.crop_ratio_enlarge
            )
        gravity = self.crop_gravity or self.gravity
        if part_width >= width and part_height >= height:
            return [], width, height
        if gravity.kind in _CONTENT:
            faces = find_faces() if gravity.kind == "faces" else ()
            whole, part = self._sides(Size(width, height)), self._sides(Size(part_width, part_height))
            return [_part(around(faces, *whole, *part)) if faces else _smart(*part)], part_width, part_height
        place = placed(width, height, part_width, part_height, gravity.kind, (gravity.x, gravity.y))
        place = place.mirrored(width, height, horizontally=self.flip_horizontal, vertically=self.flip_vertical)
        return [_part(place.turned_back(self.rotate, width, height))], part_width, part_height

    def _scaled(self, sizes: Sizes) -> list[PlannedStep]:
        x, y = self._factors(sizes)
        return [] if x == y == 1 else [PlannedStep(scale.name, ScaleParams(x=x, y=y, kernel=self.kernel))]

    def _factors(self, sizes: Sizes) -> tuple[float, float]:
        """Return how much the picture is scaled before it is rotated."""
        return (sizes.scale_y, sizes.scale_x) if self.rotate % 180 else (sizes.scale_x, sizes.scale_y)

    def _turned(self) -> list[PlannedStep]:
        steps = [step("rotate", {"angle": self.rotate % 360})] if self.rotate % 360 else []
        if self.flip_horizontal:
            steps.append(step("flip", {"direction": "horizontal"}))
        if self.flip_vertical:
            steps.append(step("flip", {"direction": "vertical"}))
        return steps

    def _cut(self, sizes: Sizes, find_faces: FindFaces) -> list[PlannedStep]:
        width, height = sizes.scaled
        part_width, part_height = min(width, sizes.cut[0] or width), min(height, sizes.cut[1] or height)
        if (part_width, part_height) == (width, height):
            return []
        if self.gravity.kind in _CONTENT:
            faces = find_faces() if self.gravity.kind == "faces" else ()
            moved = [self._moved(face, sizes) for face in faces]
            return [
                _part(around(moved, width, height, part_width, part_height))
                if moved
                else _smart(part_width, part_height)
            ]
        offset = self.gravity.x, self.gravity.y
        return [_part(placed(width, height, part_width, part_height, self.gravity.kind, offset, sizes.dpr))]

    def _moved(self, face: Place, sizes: Sizes) -> Place:
        """Return where a face of the source is after it has been scaled, rotated and flipped."""
        width, height = sizes.scaled
        place = face.scaled(*self._factors(sizes)).turned(self.rotate, *self._sides(Size(width, height)))
        return place.mirrored(width, height, horizontally=self.flip_horizontal, vertically=self.flip_vertical)

    def _extended(self, sizes: Sizes) -> list[PlannedStep]:
        steps = list[PlannedStep]()
        size = _after_cut(sizes)
        for gravity, canvas in ((self.extend, sizes.target), (self.extend_ratio, sizes.ratio or (0, 0))):
            if gravity is not None and (canvas[0] > size[0] or canvas[1] > size[1]):
                whole = canvas[0] or size[0], canvas[1] or size[1]
                place = placed(*whole, *size, gravity.kind, (gravity.x, gravity.y), sizes.dpr)
                steps.append(
                    _padded(place.top, whole[0] - place.left - size[0], whole[1] - place.top - size[1], place.left)
                )
                size = max(whole[0], size[0]), max(whole[1], size[1])
        if any(self.padding):
            steps.append(_padded(*(half_even(side * sizes.dpr) for side in self.padding)))
        if self.background is not None:
            steps.append(step("flatten", {"background": self.background}))
        return steps

    def _marked(self, sizes: Sizes) -> list[PlannedStep]:
        return [] if self.mark is None else [deferred(ImgproxyMark(mark=self.mark, dpr=sizes.dpr))]


class ImgproxyMark(Deferred):
    """The watermark, whose place depends on the size of the result."""

    mark: Mark
    dpr: float

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        mark, opacity = self.mark, self.mark.opacity * 100
        gravity = COMPASS.get(mark.position, "center")
        x, y = self._offset(mark.x, size.width), self._offset(mark.y, size.height)
        if mark.text:
            params: dict[str, object] = {
                "mark": {"text": mark.text},
                "opacity": opacity,
                "gravity": gravity,
                "rotation": mark.rotation,
                "tile": mark.position == "re",
                "margin": min(50.0, max(0.0, x * 100 / size.width)),
            }
            return [step("watermark", params | ({"scale": max(1.0, mark.scale * 100)} if mark.scale else {}))]
        shares: dict[str, object] = {}
        if mark.scale:
            shares = {"width": mark.scale * 100, "height": mark.scale * 100}
        for side, own, whole in (("width", mark.width, size.width), ("height", mark.height, size.height)):
            if own:
                shares[side] = own * self.dpr * 100 / whole
        place: dict[str, object] = {"gravity": gravity, "x": x, "y": y}
        if mark.position == "re":
            place = {"repeat": "both", "gap_x": max(0, x), "gap_y": max(0, y)}
        return [step("stamp", {"file_id": mark.file_id, "opacity": opacity, **shares, **place})]

    def _offset(self, value: float, side: int) -> int:
        return half_even(value * self.dpr) if abs(value) >= 1 else half_even(value * side)


def _crop_side(side: int, part: float) -> int:
    if part == 0:
        return side
    return min(side, int(part) if part >= 1 else max(1, half_up(side * part)))


def _in_ratio(
    part_width: int, part_height: int, ratio: float, width: int, height: int, *, enlarge: bool
) -> tuple[int, int]:
    """Return the size of the part with another aspect ratio: reduced, or enlarged within the image."""
    if (part_width / part_height > ratio) != enlarge:
        part_width = max(1, half_up(part_height * ratio))
    else:
        part_height = max(1, half_up(part_width / ratio))
    return min(part_width, width), min(part_height, height)


def _after_cut(sizes: Sizes) -> tuple[int, int]:
    return min(sizes.scaled[0], sizes.cut[0] or sizes.scaled[0]), min(sizes.scaled[1], sizes.cut[1] or sizes.scaled[1])


def _part(place: Place) -> PlannedStep:
    return step("crop", {"left": place.left, "top": place.top, "width": place.width, "height": place.height})


def _smart(width: int, height: int) -> PlannedStep:
    return step("crop", {"width": width, "height": height, "gravity": "attention"})


def _padded(top: int, right: int, bottom: int, left: int) -> PlannedStep:
    sides = {"top": top, "right": right, "bottom": bottom, "left": left}
    return step("pad", {**{side: max(0, value) for side, value in sides.items()}, "background": _TRANSPARENT})
