"""imagor's URLs: thumbor's grammar with padding, parts of the size as crops, and filters that nest."""

import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from pydantic import Field
from service_kit.texts import sentence

from image_processor.imaging.gravity import FocalPoint
from image_processor.imaging.output import Output
from image_processor.imaging.source import Source as Reading
from image_processor.render.deferred import Deferred, Size, Step, deferred
from image_processor.render.plan import Answer, ColorSource, Encoding, RenderPlan, Source, Wishes, step
from image_processor.render.problems import expired, unsupported
from image_processor.render.sources import NamedFiles, source_of
from image_processor.render.thumbor_filters import (
    COMMON,
    Canvas,
    Make,
    NotForFilterError,
    Placed,
    Resized,
    State,
    color_of,
    number,
    rounded,
    single_step,
    whole,
    within,
)
from image_processor.render.thumbor_url import Filter, ThumborUrl, Trim, side_of

_LEAST_SIGNATURE = 17
"""Letters: a shorter first segment belongs to the path."""

_PATH = re.compile(
    rf"/*(?:params/)?(?:(?P<signature>unsafe|[A-Za-z0-9\-_=]{{{_LEAST_SIGNATURE},}})/)?(?P<rest>.+)?", re.DOTALL
)
_START = r"(?:0?\.)?\d+"
_END = r"(?:[01]?\.)?\d+"
_PARTS = re.compile(
    r"/*"
    r"(?:(?P<meta>meta)/)?"
    r"(?P<trim>trim(?::(?P<corner>top-left|bottom-right))?(?::(?P<tolerance>\d+))?/)?"
    rf"(?:(?P<left>{_START})x(?P<top>{_START}):(?P<right>{_END})x(?P<bottom>{_END})/)?"
    r"(?:(?P<fit_in>(?:adaptive-)?(?:full-)?fit-in)/)?"
    r"(?:(?P<stretch>stretch)/)?"
    r"(?:(?P<flip_horizontal>-)?(?P<width>\d*)x(?P<flip_vertical>-)?(?P<height>\d*)/)?"
    r"(?:(?P<pad_left>\d+)x(?P<pad_top>\d+)(?::(?P<pad_right>\d+)x(?P<pad_bottom>\d+))?/)?"
    r"(?:(?P<halign>left|right|center)/)?"
    r"(?:(?P<valign>top|bottom|middle)/)?"
    r"(?:(?P<smart>smart)/)?"
    r"(?P<rest>.+)?",
    re.DOTALL,
)
_BREAKS = str.maketrans("", "", "\r\n\t\v\f\u0085\u2028\u2029")


def parse(target: bytes) -> ThumborUrl:
    """Return what the path, as it was sent, says. Everything is an imagor URL: what is no option is the image."""
    path = target.partition(b"?")[0].decode("utf-8", "surrogateescape").translate(_BREAKS)
    outer = _PATH.match(path)
    signature, rest = (outer["signature"] or "", outer["rest"] or "") if outer else ("", path)
    found = _PARTS.match(rest)
    if found is None:  # the expression matches the empty text
        raise AssertionError(rest)
    filters, image = _filters_and_image(found["rest"] or "")
    return ThumborUrl(
        signature=signature,
        signed=rest.encode("utf-8", "surrogateescape"),
        meta=bool(found["meta"]),
        trim=Trim(found["corner"] or "top-left", int(found["tolerance"] or 0)) if found["trim"] else None,
        crop=_crop(found),
        fit_in=found["fit_in"] or "",
        stretch=bool(found["stretch"]),
        width=side_of(found["width"]),
        height=side_of(found["height"]),
        flip_horizontal=bool(found["flip_horizontal"]),
        flip_vertical=bool(found["flip_vertical"]),
        padding=_padding(found),
        halign=found["halign"] or "",
        valign=found["valign"] or "",
        smart=bool(found["smart"]),
        filters=filters,
        image=_decoded(image),
    )


def _crop(found: re.Match[str]) -> tuple[float, float, float, float] | None:
    if found["left"] is None:
        return None
    left, top, right, bottom = (float(found[name]) for name in ("left", "top", "right", "bottom"))
    return left, top, right, bottom


def _padding(found: re.Match[str]) -> tuple[int, int, int, int] | None:
    if found["pad_left"] is None:
        return None
    left, top = int(found["pad_left"]), int(found["pad_top"])
    return left, top, int(found["pad_right"] or left), int(found["pad_bottom"] or top)


def _filters_and_image(text: str) -> tuple[tuple[Filter, ...], str]:
    """Return the filters, whose arguments may hold brackets in pairs, and the image behind them."""
    if not text.startswith("filters:"):
        return (), text
    filters, depth, name, args, word = list[Filter](), 0, "", "", ""
    image = ""
    for place, letter in enumerate(text.removeprefix("filters:"), len("filters:")):
        if letter == "(" and depth == 0:
            name, word = word, ""
        elif letter == ")" and depth == 1:
            args, word = word, ""
        elif letter == "/" and depth == 0:
            image = text[place + 1 :]
            break
        elif letter == ":" and depth == 0:
            filters.append(Filter(name, args))
            name = args = ""
        else:
            word += letter
        depth += {"(": 1, ")": -1}.get(letter, 0)
    if name:
        filters.append(Filter(name, args))
    return tuple(filters), image


def _decoded(image: str) -> str:
    """Return the image as Go's QueryUnescape does, or base64 after ``b64:``."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", image):
        return image  # not encoded at all
    plain = unquote_plus(image)
    if not plain.startswith("b64:"):
        return plain
    encoded = plain.removeprefix("b64:").rstrip("=")
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (Base64Error, UnicodeDecodeError):
        return plain


QUALITY = 75
_FORMATS = {
    **{name: name for name in ("jpeg", "png", "gif", "webp", "avif", "tiff")},
    "jpg": "jpeg",
    "tif": "tiff",
}
_UNWRITTEN = ("jxl", "jp2", "heif", "bmp")
_VERTICAL = {"top": "north", "bottom": "south"}
_HORIZONTAL = {"left": "west", "right": "east"}
_SPACES = {"srgb": "srgb", "b-w": "gray", "grey16": "gray", "cmyk": "cmyk", "p3": "p3"}
_BLENDS = {
    **{
        name: name
        for name in (
            "normal",
            "multiply",
            "screen",
            "overlay",
            "darken",
            "lighten",
            "difference",
            "exclusion",
            "add",
            "color-dodge",
            "color-burn",
            "hard-light",
            "soft-light",
            "mask",
            "mask-out",
        )
    },
    "": "normal",
    "over": "normal",
    "colour-dodge": "color-dodge",
    "colour-burn": "color-burn",
}


@dataclass(frozen=True)
class Defaults:
    """What an operator of imagor can choose about its results."""

    quality: int = QUALITY
    strip_metadata: bool = False
    negotiated: bool = False


class ImagorFrame(Deferred):
    """What imagor does with a picture before the filters, by its size.

    :param focal: areas to keep in the middle: left, top, right and bottom in pixels, or in shares.
    """

    turn: int = 0
    crop: tuple[float, float, float, float] | None = None
    width: int = 0
    height: int = 0
    fit_in: bool = False
    adaptive: bool = False
    full: bool = False
    stretch: bool = False
    upscale: bool = False
    keep_size: bool = False
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    halign: str = ""
    valign: str = ""
    smart: bool = False
    focal: list[tuple[float, float, float, float]] = Field(default_factory=list)
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def lowered(self, size: Size) -> Sequence[Step]:
        steps = list[Step]()
        if self.turn:
            steps.append(step("rotate", {"angle": self.turn}))
            size = Size(size.height, size.width) if self.turn % 180 else size
        left, top = 0, 0
        if (box := self._box(size)) is not None:
            left, top, width, height = box
            steps.append(step("crop", {"left": left, "top": top, "width": width, "height": height}))
            whole_size, size = size, Size(width, height)
        else:
            whole_size = size
        steps += self._resized(size, self._focus(whole_size, left, top, size))
        directions = (("horizontal", self.flip_horizontal), ("vertical", self.flip_vertical))
        return [*steps, *(step("flip", {"direction": direction}) for direction, wanted in directions if wanted)]

    def _box(self, size: Size) -> tuple[int, int, int, int] | None:
        """Return left, top, width and height of the crop."""
        if self.crop is None:
            return None
        left, top, right, bottom = _in_pixels(self.crop, size)
        right, bottom = min(right, size.width), min(bottom, size.height)
        if right <= left or bottom <= top:
            return None
        return int(left), int(top), int(right - left), int(bottom - top)

    def _focus(self, whole_size: Size, left: int, top: int, size: Size) -> FocalPoint | None:
        if not self.focal:
            return None
        areas = [_in_pixels(area, whole_size) for area in self.focal]
        weights = [max(1.0, (area[2] - area[0]) * (area[3] - area[1])) for area in areas]
        x = sum((area[0] + area[2]) / 2 * weight for area, weight in zip(areas, weights, strict=True)) / sum(weights)
        y = sum((area[1] + area[3]) / 2 * weight for area, weight in zip(areas, weights, strict=True)) / sum(weights)
        return FocalPoint(x=within((x - left) / size.width, 0, 1), y=within((y - top) / size.height, 0, 1))

    def _resized(self, size: Size, focus: FocalPoint | None) -> Sequence[Step]:
        left, top, right, bottom = self.padding
        across, down = self.width, self.height
        if self.adaptive and (size.width >= size.height) != (across >= down) and across and down:
            across, down = down, across
        if not across and not down:
            across, down = size.width, size.height
        across = across or max(1, size.width * down // size.height)
        down = down or max(1, size.height * across // size.width)
        if self.fit_in:
            across, down = max(1, across - left - right), max(1, down - top - bottom)
            fit = "outside" if self.full else "inside"
            return self._unless_equal(size, across, down, {"fit": fit, "enlarge": self.upscale or self.full})
        if self.stretch:
            return self._unless_equal(size, across, down, {"fit": "fill"})
        params: dict[str, object] = {"fit": "cover", "enlarge": not self.keep_size, "gravity": self._gravity()}
        if focus is not None:
            params["focal"] = focus
        return self._unless_equal(size, across, down, params)

    def _unless_equal(self, size: Size, width: int, height: int, params: Mapping[str, object]) -> Sequence[Step]:
        if (size.width, size.height) == (width, height):
            return ()
        return (step("resize", {"width": width, "height": height, **params}),)

    def _gravity(self) -> str:
        if self.smart:
            return "attention"
        return f"{_VERTICAL.get(self.valign, '')}{_HORIZONTAL.get(self.halign, '')}" or "center"


def _in_pixels(edges: Sequence[float], size: Size) -> tuple[float, float, float, float]:
    """Return edges in pixels; all of them at most 1 are shares."""
    if max(edges) <= 1:
        return edges[0] * size.width, edges[1] * size.height, edges[2] * size.width, edges[3] * size.height
    return edges[0], edges[1], edges[2], edges[3]


def plan_of(url: ThumborUrl, defaults: Defaults = Defaults(), now: float | None = None) -> RenderPlan:
    """Return the plan of a URL.

    :param now: seconds since 1970; by default, those of the clock.
    :raises DomainError: ``bad-render-url``, ``unsupported-render-option``, ``expired-render-url``.
    """
    plan = _Lowering(url, defaults).plan()
    if 0 < plan.wishes.expires <= (time.time() if now is None else now):
        raise expired()
    return plan


def image_of(text: str) -> Source:
    """Return the source: a file, a URL, or ``color:red``."""
    if text.startswith("color:"):
        try:
            return ColorSource(color_of(text.removeprefix("color:") or "none"))
        except NotForFilterError:
            return ColorSource("#00000000")
    return source_of(text)


class _Lowering:
    """Reads the filters and collects the files that they name."""

    def __init__(self, url: ThumborUrl, defaults: Defaults) -> None:
        self._url = url
        self._defaults = defaults
        self._files = NamedFiles()
        self._output: dict[str, object] = {"metadata": "strip" if defaults.strip_metadata else "keep"}
        self._frame: dict[str, object] = {}
        self._reading: dict[str, object] = {}
        self._focal = list[tuple[float, float, float, float]]()
        self._trim = url.trim
        self._wishes: dict[str, object] = {}
        self._answer: Answer = "imagor meta" if url.meta else "image"
        self._ignored = list[str]()

    def plan(self) -> RenderPlan:
        source = image_of(self._url.image)
        steps = [made for each in self._url.filters for made in self._of(each)]
        output = Output.model_validate({"format": "source"} | self._output)
        qualities = tuple((name, self._defaults.quality) for name in ("jpeg", "webp", "avif"))
        negotiated = self._defaults.negotiated and output.format == "source"
        return RenderPlan(
            source=source,
            steps=(*self._trimmed(), deferred(self._framed()), *steps),
            encoding=Encoding(output, negotiated, qualities),
            reading=Reading.model_validate(self._reading),
            files=self._files.all(),
            answer=self._answer,
            wishes=Wishes(
                file_name=str(self._wishes.get("file_name", "")),
                attachment=self._wishes.get("attachment") is True,
                max_age=_integer(self._wishes.get("max_age")),
                expires=_integer(self._wishes.get("expires")) or 0,
            ),
            ignored=tuple(self._ignored),
        )

    def _trimmed(self) -> Sequence[Step]:
        if self._trim is None:
            return ()
        corner = "southeast" if self._trim.corner == "bottom-right" else "northwest"
        return (step("trim", {"threshold": within(self._trim.tolerance or 1, 0, 255), "corner": corner}),)

    def _framed(self) -> ImagorFrame:
        url = self._url
        return ImagorFrame.model_validate(
            {
                "crop": url.crop,
                "width": int(url.width),
                "height": int(url.height),
                "fit_in": bool(url.fit_in),
                "adaptive": url.adaptive,
                "full": url.full,
                "stretch": url.stretch,
                "padding": url.padding or (0, 0, 0, 0),
                "halign": url.halign,
                "valign": url.valign,
                "smart": url.smart,
                "focal": self._focal,
                "flip_horizontal": url.flip_horizontal,
                "flip_vertical": url.flip_vertical,
            }
            | self._frame
        )

    def _of(self, each: Filter) -> Sequence[Step]:
        """Return the steps of a filter; one that is unknown or wrong is skipped, as imagor does."""
        state = FILTERS.get(each.name)
        if state is None:
            self._ignored.append(each.name)
            return ()
        if state.done == "no":
            raise unsupported(each.name, state.note)
        args = _split(each.args)
        try:
            if each.name in _STEPS:
                return _STEPS[each.name](args)
            if each.name in _WITH_FILES:
                return _WITH_FILES[each.name](self, args)
            _SETTINGS[each.name](self, args)
        except NotForFilterError:
            self._ignored.append(each.name)
        return ()

    def filled(self, args: Sequence[str]) -> Sequence[Step]:
        left, top, right, bottom = self._url.padding or (0, 0, 0, 0)
        inner = bool(self._url.fit_in)
        width = max(0, int(self._url.width) - (left + right if inner else 0))
        height = max(0, int(self._url.height) - (top + bottom if inner else 0))
        color = args[0].lower() if args else ""
        if color not in ("blur", "auto"):
            color = color_of(color or "black")
        sides = {"left": left, "top": top, "right": right, "bottom": bottom}
        return (deferred(Canvas(width=width, height=height, color=color, under=color != "#00000000", **sides)),)

    def placed(self, args: Sequence[str]) -> Sequence[Step]:
        if len(args) < 3:
            raise NotForFilterError
        width, height = (0.0 if len(args) <= place or not args[place] else number(args, place) for place in (4, 5))
        placed = Placed(
            file_id=self._files.add(source_of(unquote_plus(args[0]))),
            x=args[1],
            y=args[2],
            alpha=number(args, 3, 0.0),
            width=width,
            height=height,
        )
        return (deferred(placed),)

    def overlaid(self, args: Sequence[str]) -> Sequence[Step]:
        """Return an image on the image; the URL of the other one may have a size, and no filters."""
        if not args:
            raise NotForFilterError
        nested = parse(f"/unsafe/{args[0].removeprefix('/')}".encode())
        if nested.filters or nested.crop or nested.trim or nested.fit_in or nested.stretch or nested.smart:
            raise unsupported("image", sentence("the image that is put on another can have a size, and nothing else"))
        blend = _BLENDS.get(args[4] if len(args) > 4 else "")
        if blend is None:
            raise unsupported("image", sentence("there is no blend mode '{text}'", text=args[4]))
        file_id = self._files.add(source_of(nested.image))
        if nested.width or nested.height:
            params: dict[str, object] = {
                "file_id": file_id,
                "blend": blend,
                "opacity": within(100 - number(args, 3, 0.0), 0, 100),
            }
            params |= {side: value for side, value in (("width", nested.width), ("height", nested.height)) if value}
            placed = Placed(file_id=file_id, x=args[1] if len(args) > 1 else "0", y=args[2] if len(args) > 2 else "0")
            return (deferred(Overlaid(place=placed, params=params)),)
        placed = Placed(
            file_id=file_id,
            x=args[1] if len(args) > 1 else "0",
            y=args[2] if len(args) > 2 else "0",
            alpha=number(args, 3, 0.0),
            blend=blend,
        )
        return (deferred(placed),)

    def padded(self, args: Sequence[str]) -> Sequence[Step]:
        left = whole(args, 1)
        top = whole(args, 2, left)
        right, bottom = (whole(args, 3), whole(args, 4)) if len(args) > 4 else (left, top)
        color = color_of(args[0] or "black")
        sides = {"left": left, "top": top, "right": right, "bottom": bottom}
        return (deferred(Canvas(color=color, under=True, **{side: max(0, value) for side, value in sides.items()})),)

    def set_format(self, args: Sequence[str]) -> None:
        name = (args[0] if args else "").lower()
        if name in _UNWRITTEN:
            raise unsupported(
                "format",
                sentence("{format} is not written; there are: {names}", format=name.upper(), names=", ".join(_FORMATS)),
            )
        if name in _FORMATS:
            self._output["format"] = _FORMATS[name]

    def set_quality(self, args: Sequence[str]) -> None:
        self._output["quality"] = int(within(whole(args, 0), 1, 100))

    def set_max_bytes(self, args: Sequence[str]) -> None:
        self._output["max_bytes"] = max(1, whole(args, 0))

    def set_max_age(self, args: Sequence[str]) -> None:
        self._wishes["max_age"] = max(0, whole(args, 0))

    def set_expiry(self, args: Sequence[str]) -> None:
        self._wishes["expires"] = max(1, -(-whole(args, 0) // 1000))

    def attach(self, args: Sequence[str]) -> None:
        self._wishes |= {"attachment": True, "file_name": unquote_plus(args[0]) if args else ""}

    def strip_metadata(self, args: Sequence[str]) -> None:  # noqa: ARG002 (the shape of every filter)
        self._output["metadata"] = "strip"

    def strip_profile(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["profile"] = "strip"

    def set_lossless(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["lossless"] = True

    def set_palette(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["palette"] = True

    def set_effort(self, args: Sequence[str]) -> None:
        self._output["effort"] = int(within(whole(args, 0), 1, 9))

    def set_frames(self, args: Sequence[str]) -> None:
        self._reading["frames"] = max(1, whole(args, 0))

    def set_page(self, args: Sequence[str]) -> None:
        self._reading["page"] = max(1, whole(args, 0))

    def set_dpi(self, args: Sequence[str]) -> None:
        self._reading["dpi"] = int(within(whole(args, 0), 10, 2400))

    def send_original(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._answer = "original"

    def trim(self, args: Sequence[str]) -> None:
        named = args[1] if len(args) > 1 else "top-left"
        self._trim = Trim(named, whole(args, 0, 1))

    def crop(self, args: Sequence[str]) -> None:
        left, top, width, height = (number(args, place) for place in range(4))
        self._frame["crop"] = (left, top, left + width, top + height)

    def turn_first(self, args: Sequence[str]) -> None:
        degrees = whole(args, 0)
        if degrees % 90:
            raise NotForFilterError
        self._frame["turn"] = -degrees % 360

    def keep_size(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame |= {"keep_size": True, "upscale": False}

    def upscale(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame |= {"keep_size": False, "upscale": True}

    def stretch(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame["stretch"] = True

    def focus(self, args: Sequence[str]) -> None:
        numbers = re.fullmatch(r"([\d.]+)x([\d.]+)(?::([\d.]+)x([\d.]+))?", unquote_plus(args[0] if args else ""))
        if numbers is None:
            raise NotForFilterError
        left, top = number([numbers[1]], 0), number([numbers[2]], 0)
        right, bottom = (number([numbers[place] or numbers[place - 2]], 0) for place in (3, 4))
        self._focal.append((left, top, right, bottom))

    def without_effect(self, args: Sequence[str]) -> None:
        """Do nothing: it concerns imagor's own storage of results."""


class Overlaid(Deferred):
    """An image of another size on the picture: ``overlay`` at a place of :class:`Placed`."""

    place: Placed
    params: dict[str, object]

    def lowered(self, size: Size) -> Sequence[Step]:
        (placed,) = self.place.lowered(size)
        at = placed.params.model_dump()
        gravity, x, y = str(at["gravity"]), int(at["x"]), int(at["y"])
        across = -x if "east" in gravity else x
        down = -y if "south" in gravity else y
        return [step("overlay", {**self.params, "gravity": gravity, "x": across, "y": down})]


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _split(text: str) -> list[str]:
    """Return the arguments: commas within brackets do not separate them."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text else []


def _blurred(args: Sequence[str]) -> Sequence[Step]:
    sigma = number(args, 1) if len(args) > 1 else number(args, 0) / 2
    return (step("blur", {"radius": within(sigma, 0.01, 100)}),) if sigma > 0 else ()


def _sharpened(args: Sequence[str]) -> Sequence[Step]:
    sigma = number(args, 1) if len(args) > 1 else 1 + number(args, 0) / 2
    return (step("sharpen", {"radius": within(sigma, 0.01, 50)}),) if sigma > 0 else ()


def _turned(args: Sequence[str]) -> Sequence[Step]:
    return COMMON["rotate"](args) if whole(args, 0) > 0 else ()


def _modulated(args: Sequence[str]) -> Sequence[Step]:
    brightness, saturation = (within(number(args, place, 0.0), -100, 100) for place in (0, 1))
    return (
        step("brightness", {"amount": brightness}),
        step("saturation", {"amount": saturation}),
        step("hue", {"degrees": number(args, 2, 0.0) % 360}),
    )


def _rounded(args: Sequence[str]) -> Sequence[Step]:
    radius = number(args, 0)
    return rounded(radius, number(args, 1, radius), color_of(args[2]) if len(args) > 2 and args[2] else None)


def _in_space(args: Sequence[str]) -> Sequence[Step]:
    name = (args[0] if args else "srgb").lower()
    if name not in _SPACES:
        raise unsupported(
            "to_colorspace",
            sentence("there is no space '{name}'; there are: {names}", name=name, names=", ".join(_SPACES)),
        )
    return (step("to_colorspace", {"space": _SPACES[name]}),)


def _in_proportion(args: Sequence[str]) -> Sequence[Step]:
    share = number(args, 0)
    share = share / 100 if share > 1 else share
    return (deferred(Resized(share=min(1.0, share))),) if 0 < share < 1 else ()


_STEPS: Mapping[str, Make] = {
    **COMMON,
    "background_color": single_step("flatten", lambda args: {"background": color_of(args[0] if args else "")}),
    "blur": _blurred,
    "hue": single_step("hue", lambda args: {"degrees": number(args, 0) % 360}),
    "invert": single_step("invert", lambda _: {}),
    "modulate": _modulated,
    "pixelate": single_step("pixelate", lambda args: {"size": int(within(whole(args, 0, 10), 2, 1000))}),
    "proportion": _in_proportion,
    "redact": single_step("blur_faces", lambda args: {"method": "pixelate" if args[:1] == ["pixelate"] else "blur"}),
    "rotate": _turned,
    "round_corner": _rounded,
    "saturation": single_step("saturation", lambda args: {"amount": within(number(args, 0), -100, 100)}),
    "sharpen": _sharpened,
    "to_colorspace": _in_space,
}
_WITH_FILES: Mapping[str, Callable[[_Lowering, Sequence[str]], Sequence[Step]]] = {
    "fill": _Lowering.filled,
    "image": _Lowering.overlaid,
    "padding": _Lowering.padded,
    "watermark": _Lowering.placed,
}
_SETTINGS: Mapping[str, Callable[[_Lowering, Sequence[str]], None]] = {
    "attachment": _Lowering.attach,
    "compression": _Lowering.set_effort,
    "crop": _Lowering.crop,
    "dpi": _Lowering.set_dpi,
    "expire": _Lowering.set_expiry,
    "focal": _Lowering.focus,
    "format": _Lowering.set_format,
    "lossless": _Lowering.set_lossless,
    "max_age": _Lowering.set_max_age,
    "max_bytes": _Lowering.set_max_bytes,
    "max_frames": _Lowering.set_frames,
    "no_upscale": _Lowering.keep_size,
    "orient": _Lowering.turn_first,
    "page": _Lowering.set_page,
    "palette": _Lowering.set_palette,
    "preview": _Lowering.without_effect,
    "quality": _Lowering.set_quality,
    "raw": _Lowering.send_original,
    "stretch": _Lowering.stretch,
    "strip_exif": _Lowering.strip_metadata,
    "strip_icc": _Lowering.strip_profile,
    "strip_metadata": _Lowering.strip_metadata,
    "trim": _Lowering.trim,
    "upscale": _Lowering.upscale,
}

FILTERS: Mapping[str, State] = {
    "attachment": State("yes", "Content-Disposition"),
    "background_color": State("yes", "`flatten`"),
    "bitdepth": State("no", sentence("the depth of a PNG follows from its colors; `palette` makes it small")),
    "blur": State("yes", "`blur`"),
    "brightness": State("yes", "`brightness`"),
    "compression": State("part", "`output.effort`, 1 to 9"),
    "contrast": State("yes", "`contrast` or `levels`, by imagor's formula"),
    "crop": State("yes", "`crop`"),
    "dpi": State("yes", "`source.dpi`, of PDF and SVG"),
    "draw_detections": State("no", sentence("rectangles around faces are not drawn")),
    "expire": State("yes", "410 afterwards"),
    "fill": State("yes", "`pad` or `extend`; `auto` is the average of the colors"),
    "focal": State("yes", "the point that a cut keeps in the middle"),
    "format": State("part", "jpeg, png, webp, avif, gif and tiff; jxl, jp2, heif and bmp are refused"),
    "grayscale": State("yes", "`grayscale`"),
    "hue": State("yes", "`hue`"),
    "image": State("part", "`stamp` or `overlay`: the other image can have a size, and no filters"),
    "invert": State("yes", "`invert`"),
    "label": State("no", sentence("a text has a width, not a place in pixels: a preset with `watermark` writes one")),
    "lossless": State("yes", "`output.lossless`"),
    "max_age": State("yes", "Cache-Control"),
    "max_bytes": State("yes", "`output.max_bytes`"),
    "max_frames": State("yes", "`source.frames`"),
    "modulate": State("yes", "`brightness`, `saturation` and `hue`"),
    "no_upscale": State("yes", "`resize` without `enlarge`"),
    "orient": State("yes", "`rotate` before the crop"),
    "padding": State("yes", "`pad`"),
    "page": State("yes", "`source.page`"),
    "palette": State("yes", "`output.palette`"),
    "pixelate": State("yes", "`pixelate`"),
    "preview": State("yes", "accepted; results are always kept in the cache"),
    "proportion": State("yes", "`resize`"),
    "quality": State("yes", "`output.quality`"),
    "raw": State("yes", "the source as it is"),
    "redact": State("part", "`blur_faces`: of faces alone, blurred or in blocks"),
    "redact_oval": State("no", sentence("faces are hidden by rectangles: `redact` does it")),
    "rgb": State("yes", "`channels`"),
    "rotate": State("yes", "`rotate`, anticlockwise as in imagor"),
    "round_corner": State("yes", "`round_corners` and `flatten`"),
    "saturation": State("yes", "`saturation`"),
    "sharpen": State("part", "`sharpen`: another operator with the same radius"),
    "stretch": State("yes", "`resize` with `fill`"),
    "strip_exif": State("yes", "`output.metadata`"),
    "strip_icc": State("yes", "`output.profile`"),
    "strip_metadata": State("yes", "`output.metadata`"),
    "text": State("no", sentence("a text has a width, not a place in pixels: a preset with `watermark` writes one")),
    "to_colorspace": State("part", "`to_colorspace`: srgb, p3, cmyk and b-w"),
    "trim": State("yes", "`trim`"),
    "upscale": State("yes", "`resize` with `enlarge`"),
    "watermark": State("yes", "`stamp`"),
}
"""Every filter of imagor, and whether it is done. Names that are not here are skipped, as imagor skips them."""
