"""Translates thumbor's and imagor's filters into steps of the catalog."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from service_kit.texts import sentence

from image_processor.imaging.css_colors import canonical
from image_processor.render.dialects.rounding import half_up
from image_processor.render.dialects.thumbor.url import digits
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size, deferred
from image_processor.render.plans.plan import step
from image_processor.render.problems import unsupported

Args = Sequence[str]
Make = Callable[[Args], Sequence[PlannedStep]]

AUTO = "auto"
_PLACE = re.compile(r"(-?)(\d{1,9}(?:\.\d{1,9})?)(p?)")
_WORDS_X = {"center": "", "left": "west", "right": "east", "l": "west", "r": "east"}
_WORDS_Y = {"center": "", "top": "north", "bottom": "south", "t": "north", "b": "south"}


@dataclass(frozen=True)
class State:
    """Whether a filter or an option is supported, for the documentation.

    :param done: ``yes``, ``part`` or ``no``.
    :param note: how it is supported, or why it is not.
    """

    done: str
    note: str


class NotForFilterError(Exception):
    """The arguments do not fit the filter; both peers then skip it silently."""


def arguments(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def number(args: Args, place: int, default: float | None = None) -> float:
    """Return an argument; ``default`` if it is missing."""
    if place >= len(args) or not args[place]:
        if default is None:
            raise NotForFilterError
        return default
    try:
        found = float(args[place])
    except ValueError as error:
        raise NotForFilterError from error
    if not math.isfinite(found):
        raise NotForFilterError
    return found


def whole(args: Args, place: int, default: int | None = None) -> int:
    return int(number(args, place, default))


def within(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


def color_of(text: str) -> str:
    """Return the color of a name or of hexadecimal digits, with or without ``#``."""
    name = unquote_plus(text).strip().strip("'").lower()
    if name in ("none", "transparent"):
        return "#00000000"
    try:
        return canonical(f"#{name}" if re.fullmatch(r"[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8}", name) else name)
    except ValueError as error:
        raise NotForFilterError from error


def true(args: Args, place: int, *, default: bool = False) -> bool:
    return args[place] in ("true", "True", "1") if place < len(args) and args[place] else default


def contrasted(factor: float) -> Sequence[PlannedStep]:
    """Return the step that moves tones away from the middle by a factor, or towards it if the factor is below 1."""
    if factor <= 2:
        return (step("contrast", {"amount": (factor - 1) * 100}),)
    reach = 127.5 / factor
    return (step("levels", {"black": 127.5 - reach, "white": 127.5 + reach}),)


def turned(args: Args) -> Sequence[PlannedStep]:
    """Return the rotation; both peers count counterclockwise."""
    degrees = whole(args, 0)
    if degrees % 90:
        raise NotForFilterError
    return (step("rotate", {"angle": float(-degrees % 360)}),) if degrees % 360 else ()


def channels(args: Args) -> Sequence[PlannedStep]:
    red, green, blue = (within(number(args, place), -100, 100) for place in range(3))
    return (step("channels", {"red": red, "green": green, "blue": blue}),)


def convolved(args: Args) -> Sequence[PlannedStep]:
    if len(args) < 2:
        raise NotForFilterError
    try:
        kernel = [float(part) for part in args[0].split(";")]
    except ValueError as error:
        raise NotForFilterError from error
    columns = whole(args, 1)
    if columns not in (3, 5, 7) or len(kernel) != columns**2:
        raise NotForFilterError
    return (step("convolve", {"kernel": kernel, "normalize": true(args, 2, default=True)}),)


def curved(text: str) -> Sequence[PlannedStep]:
    lists = re.findall(r"\[((?:\(\d+,\s*\d+\),?\s*)*)\]", text)
    if len(lists) != 4:
        raise NotForFilterError
    curves: dict[str, object] = {}
    for name, points in zip(("all", "red", "green", "blue"), lists, strict=True):
        found = [
            {"input": within(float(x), 0, 255), "output": within(float(y), 0, 255)}
            for x, y in re.findall(r"\((\d+),\s*(\d+)\)", points)
        ]
        if found:
            curves[name] = found
    return (step("curves", curves),) if curves else ()


def single_step(name: str, params: Callable[[Args], dict[str, object]]) -> Make:
    """Return a function that makes one step, with params from the arguments."""
    return lambda args: (step(name, params(args)),)


COMMON: Mapping[str, Make] = {
    "brightness": single_step("brightness", lambda args: {"amount": within(number(args, 0), -100, 100)}),
    "grayscale": single_step("grayscale", lambda _: {}),
    "rgb": channels,
    "rotate": turned,
}
"""Filters that mean the same to both peers."""

OUTPUTS: Mapping[str, Callable[[Args], dict[str, object]]] = {
    "max_bytes": lambda args: {"max_bytes": max(1, whole(args, 0))},
    "quality": lambda args: {"quality": int(within(whole(args, 0), 1, 100))},
}
"""Filters that set a part of the output, and mean the same to both peers."""


def format_of(args: Args, formats: Mapping[str, str], unwritten: Collection[str]) -> dict[str, object]:
    """Return the part of the output that the filter ``format`` sets: nothing if the format is unknown.

    :param formats: the formats by the names that the peer gives them.
    :param unwritten: the names of the peer's other formats, which are refused.
    """
    name = (args[0] if args else "").lower()
    if name in unwritten:
        raise unsupported(
            "format",
            sentence("{format} is not written; there are: {names}", format=name.upper(), names=", ".join(formats)),
        )
    return {"format": formats[name]} if name in formats else {}


class Canvas(Deferred):
    """Put the picture in the middle of a canvas, as the filter ``fill`` does; what exceeds the canvas is cut.

    :param width: the requested width; 0 for that of the picture.
    :param left: the padding on the left; the same applies to ``top``, ``right`` and ``bottom``.
    :param under: whether the color also fills transparent parts.
    :param grows: whether the canvas is at least as large as the picture, as with ``full-fit-in``.
    :param adaptive: whether to swap the sides if the picture is portrait and the canvas landscape, or vice versa.
    :param turned: whether filters before this one turned the picture by 90 degrees.
    :param turns: whether the canvas is turned along with the picture, as imagor does.
    """

    width: int = 0
    height: int = 0
    color: str = "#000000"
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    under: bool = False
    grows: bool = False
    adaptive: bool = False
    turned: bool = False
    turns: bool = False

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        left, top, right, bottom = self.left, self.top, self.right, self.bottom
        width, height = self._sides(size)
        if self.turned and self.turns:
            width, height = height, width
            left, top, right, bottom = top, left, bottom, right
        place = Placement(
            size,
            int((width - size.width) / 2) + left,
            int((height - size.height) / 2) + top,
            width + left + right,
            height + top + bottom,
        )
        steps = place.cut()
        if self.color in ("blur", AUTO):
            mode = "blur" if self.color == "blur" else "average"
            return [*steps, step("extend", {"width": place.width, "height": place.height, "mode": mode})]
        if self.under:
            steps.append(step("flatten", {"background": self.color}))
        if any(place.margins().values()):
            steps.append(step("pad", {**place.margins(), "background": self.color}))
        return steps

    def _sides(self, size: Size) -> tuple[int, int]:
        """Return the sides of the canvas before it is turned."""
        across, down = (size.height, size.width) if self.turned else (size.width, size.height)
        width, height = self.width, self.height
        if self.adaptive and width and height and (across - down) * (width - height) < 0:
            width, height = height, width
        width, height = width or across, height or down
        return (max(width, across), max(height, down)) if self.grows else (width, height)


@dataclass(frozen=True)
class Placement:
    """Where a picture lies on a canvas.

    :param left: pixels from the left edge of the canvas; negative if the picture exceeds it.
    """

    size: Size
    left: int
    top: int
    width: int
    height: int

    def cut(self) -> list[PlannedStep]:
        """Return the step that crops the picture to the canvas, if it exceeds the canvas."""
        margins = self._all_margins()
        if min(margins.values()) >= 0:
            return []
        part = {
            "left": max(0, -margins["left"]),
            "top": max(0, -margins["top"]),
            "width": min(self.size.width, self.width, self.left + self.size.width, self.width - self.left),
            "height": min(self.size.height, self.height, self.top + self.size.height, self.height - self.top),
        }
        return [step("crop", part)]

    def margins(self) -> dict[str, int]:
        """Return the free pixels on each side."""
        return {side: max(0, margin) for side, margin in self._all_margins().items()}

    def _all_margins(self) -> dict[str, int]:
        return {
            "left": self.left,
            "top": self.top,
            "right": self.width - self.left - self.size.width,
            "bottom": self.height - self.top - self.size.height,
        }


def place_along(text: str, side: int) -> int:
    """Return the pixels for which ``20``, ``-20``, ``10p`` or ``0.1`` stands, without the sign; 0 for a word."""
    found = _PLACE.fullmatch(text)
    if found is None:
        return 0
    _, digits, percent = found.groups()
    if percent or (float(digits) < 1 and "." in digits):
        return half_up(side * float(digits) / (100 if percent else 1))
    return int(float(digits))


class PlacedFile(Deferred):
    """Put a file on the picture, as the filter ``watermark`` does.

    :param x: pixels or percent (``10p``) from the left, from the right if negative, a word, or ``repeat``.
    :param alpha: the transparency in percent.
    :param width: percent of the picture; 0 keeps the file's size.
    """

    file_id: int
    x: str
    y: str
    alpha: float = 0.0
    width: float = 0.0
    height: float = 0.0
    blend: str = "normal"

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        across, x = self._along(self.x, size.width, _WORDS_X, "east", "west")
        down, y = self._along(self.y, size.height, _WORDS_Y, "south", "north")
        repeat = {(True, True): "both", (True, False): "x", (False, True): "y"}.get(
            (self.x == "repeat", self.y == "repeat"), "none"
        )
        params: dict[str, object] = {
            "file_id": self.file_id,
            "gravity": f"{down}{across}" or "center",
            "x": x,
            "y": y,
            "repeat": repeat,
            "opacity": within(100 - self.alpha, 0, 100),
            "blend": self.blend,
        }
        params |= {side: share for side, share in (("width", self.width), ("height", self.height)) if share > 0}
        return [step("stamp", params)]

    def _along(self, text: str, side: int, words: Mapping[str, str], far: str, near: str) -> tuple[str, int]:
        """Return the side from which the place is measured, and the distance in pixels."""
        if text == "repeat":
            return near, 0
        word, _, offset = text.partition("-")
        if word in words:
            return words[word], -digits(offset) if offset.isdecimal() else 0
        pixels = self.pixels_along(text.removeprefix("-"), side)
        return (far if self.is_from_far(text, pixels) else near), pixels

    def pixels_along(self, text: str, side: int) -> int:
        """Return the pixels for which a place without its sign stands."""
        return place_along(text, side)

    def is_from_far(self, text: str, pixels: int) -> bool:  # noqa: ARG002 (imagor needs the pixels)
        """Return whether the place is measured from the right or the lower edge."""
        return _PLACE.fullmatch(text) is not None and text.startswith("-")


class Resized(Deferred):
    """Resize by a share of the picture, or up to a box, as ``proportion`` and ``upscale`` do.

    :param share: the factor for both sides; 0 to use the box.
    :param adaptive: whether to swap the box's sides if the picture is portrait and the box landscape, or vice versa.
    """

    share: float = 0.0
    width: int = 0
    height: int = 0
    adaptive: bool = False

    def sets_size(self) -> bool:
        return True

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        if self.share:
            width, height = int(size.width * self.share), int(size.height * self.share)
            return [step("resize", {"width": width, "height": height})] if min(width, height) >= 1 else []
        box_width, box_height = self.width, self.height
        if self.adaptive and (size.width - size.height) * (box_width - box_height) < 0:
            box_width, box_height = box_height, box_width
        if size.width >= box_width or size.height >= box_height:
            return []
        if size.width / box_width >= size.height / box_height:
            width, height = box_width, size.height * box_width // size.width
        else:
            width, height = size.width * box_height // size.height, box_height
        return [step("resize", {"width": max(1, width), "height": max(1, height)})]


def rounded(radius: float, radius_y: float, color: str | None) -> Sequence[PlannedStep]:
    params: dict[str, object] = {"radius": within(radius, 0, 10_000)}
    if radius_y != radius:
        params["radius_y"] = within(radius_y, 0, 10_000)
    steps = [step("round_corners", params)]
    return steps if color is None else [*steps, step("flatten", {"background": color})]


__all__ = [
    "AUTO",
    "COMMON",
    "Args",
    "Canvas",
    "Make",
    "NotForFilterError",
    "PlacedFile",
    "Resized",
    "State",
    "arguments",
    "color_of",
    "contrasted",
    "convolved",
    "curved",
    "deferred",
    "number",
    "place_along",
    "rounded",
    "single_step",
    "true",
    "whole",
    "within",
]
