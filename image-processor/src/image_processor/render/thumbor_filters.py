"""What thumbor's and imagor's filters mean in steps of the catalog."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from image_processor.imaging.css_colors import canonical
from image_processor.render.deferred import Deferred, Size, Step, deferred
from image_processor.render.geometry.rounding import half_up
from image_processor.render.plan import step

Args = Sequence[str]
Make = Callable[[Args], Sequence[Step]]

AUTO = "auto"
_PLACE = re.compile(r"(-?)(\d+(?:\.\d+)?)(p?)")
_WORDS_X = {"center": "", "left": "west", "right": "east", "l": "west", "r": "east"}
_WORDS_Y = {"center": "", "top": "north", "bottom": "south", "t": "north", "b": "south"}


@dataclass(frozen=True)
class State:
    """Whether a filter is done, for the documentation.

    :param done: ``yes``, ``part`` or ``no``.
    :param note: with what, or why not.
    """

    done: str
    note: str


class NotForFilterError(Exception):
    """The arguments do not fit the filter; both peers then skip it without a word."""


def arguments(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def number(args: Args, place: int, default: float | None = None) -> float:
    """Return an argument; ``default`` where it is missing."""
    if place >= len(args) or not args[place]:
        if default is None:
            raise NotForFilterError
        return default
    try:
        return float(args[place])
    except ValueError as error:
        raise NotForFilterError from error


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


def contrast_259(amount: float) -> Sequence[Step]:
    """Return the contrast by the formula of both peers: 259 (c + 255) / (255 (259 - c))."""
    amount = within(amount, -255, 255)
    factor = 259 * (amount + 255) / (255 * (259 - amount))
    if factor <= 2:
        return (step("contrast", {"amount": (factor - 1) * 100}),)
    reach = 127.5 / factor
    return (step("levels", {"black": 127.5 - reach, "white": 127.5 + reach}),)


def saturated(factor: float) -> Sequence[Step]:
    steps = list[Step]()
    while factor > 2:  # twice is the most that one step does
        steps.append(step("saturation", {"amount": 100.0}))
        factor /= 2
    return [*steps, step("saturation", {"amount": within((factor - 1) * 100, -100, 100)})]


def turned(args: Args) -> Sequence[Step]:
    """Return the rotation; both peers count anticlockwise."""
    degrees = whole(args, 0)
    if degrees % 90:
        raise NotForFilterError
    return (step("rotate", {"angle": float(-degrees % 360)}),) if degrees % 360 else ()


def channels(args: Args) -> Sequence[Step]:
    red, green, blue = (within(number(args, place), -100, 100) for place in range(3))
    return (step("channels", {"red": red, "green": green, "blue": blue}),)


def convolved(args: Args) -> Sequence[Step]:
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


def curved(text: str) -> Sequence[Step]:
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
    """Return what makes one step, its params from the arguments."""
    return lambda args: (step(name, params(args)),)


COMMON: Mapping[str, Make] = {
    "brightness": single_step("brightness", lambda args: {"amount": within(number(args, 0), -100, 100)}),
    "contrast": lambda args: contrast_259(number(args, 0)),
    "grayscale": single_step("grayscale", lambda _: {}),
    "rgb": channels,
    "rotate": turned,
}
"""Filters that mean the same to both peers."""


class Canvas(Deferred):
    """Put the picture in the middle of a larger canvas, as the filter ``fill`` does.

    :param width: 0: that of the picture.
    """

    width: int = 0
    height: int = 0
    color: str = "#000000"
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    under: bool = False

    def lowered(self, size: Size) -> Sequence[Step]:
        width, height = max(self.width, size.width), max(self.height, size.height)
        if self.color in ("blur", AUTO):
            whole_width, whole_height = width + self.left + self.right, height + self.top + self.bottom
            mode = "blur" if self.color == "blur" else "average"
            return [step("extend", {"width": whole_width, "height": whole_height, "mode": mode})]
        left, top = (width - size.width) // 2 + self.left, (height - size.height) // 2 + self.top
        right = width + self.left + self.right - left - size.width
        bottom = height + self.top + self.bottom - top - size.height
        steps = [step("flatten", {"background": self.color})] if self.under else []
        if max(left, top, right, bottom) > 0:
            sides = {"left": left, "top": top, "right": right, "bottom": bottom}
            steps.append(step("pad", {**sides, "background": self.color}))
        return steps


class Placed(Deferred):
    """Put a file on the picture, as the filter ``watermark`` does.

    :param x: pixels or per cent (``10p``) from the left, from the right if negative, a word, or ``repeat``.
    :param alpha: per cent of transparency.
    :param width: per cent of the picture; 0: as it is.
    """

    file_id: int
    x: str
    y: str
    alpha: float = 0.0
    width: float = 0.0
    height: float = 0.0
    blend: str = "normal"

    def lowered(self, size: Size) -> Sequence[Step]:
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
        """Return the side that the place counts from, and how many pixels."""
        if text == "repeat":
            return near, 0
        word, _, offset = text.partition("-")
        if word in words:
            return words[word], -int(offset) if offset.isdigit() else 0
        found = _PLACE.fullmatch(text)
        if found is None:
            return near, 0
        sign, digits, percent = found.groups()
        if percent or (float(digits) < 1 and "." in digits):
            pixels = half_up(side * float(digits) / (100 if percent else 1))
        else:
            pixels = int(float(digits))
        return (far if sign else near), pixels


class Resized(Deferred):
    """Resize by a share of the picture, or up to a box, as ``proportion`` and ``upscale`` do.

    :param share: of both sides; 0: use the box.
    """

    share: float = 0.0
    width: int = 0
    height: int = 0

    def lowered(self, size: Size) -> Sequence[Step]:
        if self.share:
            width, height = int(size.width * self.share), int(size.height * self.share)
            return [step("resize", {"width": width, "height": height})] if min(width, height) >= 1 else []
        if size.width >= self.width or size.height >= self.height:
            return []
        return [step("resize", {"width": self.width, "height": self.height, "fit": "inside", "enlarge": True})]


def rounded(radius: float, radius_y: float, color: str | None) -> Sequence[Step]:
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
    "Placed",
    "Resized",
    "State",
    "arguments",
    "color_of",
    "contrast_259",
    "convolved",
    "curved",
    "deferred",
    "number",
    "rounded",
    "saturated",
    "single_step",
    "true",
    "whole",
    "within",
]
