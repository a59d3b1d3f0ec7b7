"""Turns thumbor's URLs into plans."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.trim import TrimParams, box_of
from image_processor.imaging.output import Output
from image_processor.imaging.picture import Picture
from image_processor.imaging.source import Source
from image_processor.render.dialects.named_sources import FileIds, source_of
from image_processor.render.dialects.thumbor import algorithms  # noqa: F401 (registers steps)
from image_processor.render.dialects.thumbor.filters import (
    COMMON,
    OUTPUTS,
    Canvas,
    Make,
    NotForFilterError,
    PlacedFile,
    Resized,
    State,
    color_of,
    contrasted,
    convolved,
    curved,
    format_of,
    number,
    place_along,
    rounded,
    single_step,
    true,
    whole,
    within,
)
from image_processor.render.dialects.thumbor.sizes import Box, Focus, cropped, filled, fitted
from image_processor.render.dialects.thumbor.url import ORIGINAL, Filter, Side, ThumborUrl, digits
from image_processor.render.plans.deferred import Deferred, PlannedStep, Size, deferred
from image_processor.render.plans.plan import Encoding, RenderPlan, Wishes, step
from image_processor.render.problems import numbers_in_range, unsupported

WITHOUT_EFFECT = ("autojpg",)
"""Supported filters that change nothing."""
QUALITY = 80
SCHEME = "http"
"""The scheme of an image without one, as in thumbor's HTTP loader."""
_SQUARE_ROOT_OF_3 = 3**0.5
_LARGEST_RADIUS = 150
_LEAST_SIGMA = 0.01
_FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp", "avif": "avif"}
_UNWRITTEN = ("heic", "heif")


@dataclass(frozen=True)
class ThumborDefaults:
    """thumbor's server settings that change results.

    :param respect_orientation: whether to apply the EXIF orientation; thumbor does so only if a setting is on.
    """

    quality: int = QUALITY
    respect_orientation: bool = False
    negotiated: bool = False


class ThumborFrame(Deferred):
    """thumbor's operations before the filters."""

    trim: TrimParams | None = None
    crop: tuple[float, float, float, float] | None = None
    width: Side = 0
    height: Side = 0
    fit_in: bool = False
    adaptive: bool = False
    full: bool = False
    stretch: bool = False
    enlarge: bool = True
    halign: str = ""
    valign: str = ""
    smart: bool = False
    focal: list[tuple[int, int, int, int]] = Field(default_factory=list)
    flip_horizontal: bool = False
    flip_vertical: bool = False

    def sets_size(self) -> bool:
        return bool(self.width or self.height)

    def cut(self, size: Size) -> Box | None:
        """Return the crop of the URL; ``None`` if it has none."""
        return cropped(size.width, size.height, self.crop) if self.crop else None

    def areas(self, box: Box | None) -> Sequence[Box]:
        """Return the focal areas whose center lies in the crop, relative to the crop."""
        if box is None:
            return self.focal
        moved = list[Box]()
        for area in self.focal:
            middle = Focus.of_area(*area)
            if box[0] <= middle.x <= box[2] and box[1] <= middle.y <= box[3]:
                moved.append((area[0] - box[0], area[1] - box[1], area[2] - box[0], area[3] - box[1]))
        return moved

    def lowered_for(self, picture: Picture) -> Sequence[PlannedStep]:
        box = None if self.trim is None else box_of(picture, self.trim)
        if box is None:
            return super().lowered_for(picture)
        left, top, right, bottom = box
        frame = self.after_trim(box, Size(picture.width, picture.height))
        return [_part(*box), *frame.lowered(Size(right - left, bottom - top))]

    def after_trim(self, box: Box, source: Size) -> "ThumborFrame":
        """Return the frame for the part that a trim leaves; the crop and the largest sides refer to the source."""
        if not self.enlarge:
            width, height = self._wanted(source)
            return self.model_copy(update={"enlarge": True, "width": width, "height": height}).after_trim(box, source)
        if self.crop is None:
            return self
        left, top = box[:2]
        moved = (self.crop[0] - left, self.crop[1] - top, self.crop[2] - left, self.crop[3] - top)
        return self.model_copy(update={"crop": moved})

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        steps, box, wanted = list[PlannedStep](), self.cut(size), self._wanted(size)
        points = [Focus.of_area(*area) for area in self.areas(box)]
        if box is not None:
            steps.append(_part(*box))
            size = Size(box[2] - box[0], box[3] - box[1])
        steps += self._resized(size, wanted, points)
        directions = (("horizontal", self.flip_horizontal), ("vertical", self.flip_vertical))
        return [*steps, *(step("flip", {"direction": direction}) for direction, wanted in directions if wanted)]

    def _resized(self, size: Size, wanted: tuple[Side, Side], points: Sequence[Focus]) -> Sequence[PlannedStep]:
        if self.fit_in:
            sizes = fitted(size.width, size.height, wanted, adaptive=self.adaptive, full=self.full)
        else:
            align = self.halign, self.valign
            sizes = filled(size.width, size.height, wanted, align, points, stretch=self.stretch)
        steps = list[PlannedStep]()
        if sizes.cut is not None:
            left, top, right, bottom = sizes.cut
            if self.smart and not points:
                steps.append(step("crop", {"width": right - left, "height": bottom - top, "gravity": "attention"}))
            else:
                steps.append(_part(*sizes.cut))
        if sizes.size is not None:
            steps.append(step("resize", {"width": sizes.size[0], "height": sizes.size[1]}))
        return steps

    def _wanted(self, size: Size) -> tuple[Side, Side]:
        """Return the requested sides, limited to those of the source if it may not be enlarged."""
        if self.enlarge:
            return self.width, self.height
        return _at_most(self.width, size.width), _at_most(self.height, size.height)


def _at_most(side: Side, limit: int) -> Side:
    return side if side == ORIGINAL else min(int(side), limit)


def _part(left: int, top: int, right: int, bottom: int) -> PlannedStep:
    return step("crop", {"left": left, "top": top, "width": right - left, "height": bottom - top})


def plan_of(url: ThumborUrl, defaults: ThumborDefaults = ThumborDefaults()) -> RenderPlan:
    """Return the plan of a URL.

    :raises DomainError: ``bad-render-url``, ``unsupported-render-option``.
    """
    with numbers_in_range():
        return _Lowering(url, defaults).plan()


class _Lowering:
    """Reads the filters, in thumbor's three phases, and collects the files that they name."""

    def __init__(self, url: ThumborUrl, defaults: ThumborDefaults) -> None:
        self._url = url
        self._defaults = defaults
        self._files = FileIds()
        self._output: dict[str, object] = {"metadata": "strip"}
        self._frame: dict[str, object] = {}
        self._focal = list[tuple[int, int, int, int]]()
        self._max_age: int | None = None
        self._frames: int | None = None
        self._turned = False
        self._ignored = list[str]()

    def plan(self) -> RenderPlan:
        source = source_of(self._url.image, SCHEME)
        steps = [made for filter_ in self._url.filters for made in self._of(filter_)]
        # thumbor drops the alpha of a JPEG: what its `fill(transparent)` adds is black.
        output = Output.model_validate({"format": "source", "background": "#000000"} | self._output)
        return RenderPlan(
            source=source,
            steps=(deferred(self._framed()), *steps),
            encoding=Encoding.by_url(
                output,
                chosen_by_client=self._defaults.negotiated,
                qualities=tuple((name, self._defaults.quality) for name in ("jpeg", "webp", "avif")),
                lossy_alone=True,
            ),
            reading=Source(upright=self._defaults.respect_orientation, frames=self._frames),
            files=self._files.all(),
            answer="thumbor meta" if self._url.meta else "image",
            source_name=self._url.image if self._url.meta else "",
            wishes=Wishes(max_age=self._max_age),
            ignored=(*self._ignored, *(["debug"] if self._url.debug else [])),
        )

    def _trimmed(self) -> TrimParams | None:
        trim = self._url.trim
        if trim is None:
            return None
        # thumbor's tolerance is a distance in RGB space; the catalog's threshold applies to each band.
        return TrimParams.model_validate(
            {
                "threshold": min(255.0, trim.tolerance / _SQUARE_ROOT_OF_3),
                "corner": "southeast" if trim.corner == "bottom-right" else "northwest",
            }
        )

    def _framed(self) -> ThumborFrame:
        url = self._url
        return ThumborFrame.model_validate(
            {
                "trim": self._trimmed(),
                "crop": url.crop,
                "width": url.width,
                "height": url.height,
                "fit_in": bool(url.fit_in),
                "adaptive": url.adaptive,
                "full": url.full,
                "halign": url.halign,
                "valign": url.valign,
                "smart": url.smart,
                "focal": self._focal,
                "flip_horizontal": url.flip_horizontal,
                "flip_vertical": url.flip_vertical,
            }
            | self._frame
        )

    def _of(self, filter_: Filter) -> Sequence[PlannedStep]:
        """Return the steps of a filter; skip unknown and invalid filters, as thumbor does."""
        state = FILTERS.get(filter_.name)
        if state is None:
            self._ignored.append(filter_.name)
            return ()
        if state.done == "no":
            raise unsupported(filter_.name, state.note)
        try:
            return self._steps(filter_.name, fitting(filter_), filter_.args)
        except NotForFilterError:
            self._ignored.append(filter_.name)
            return ()

    def _steps(self, name: str, args: Sequence[str], text: str) -> Sequence[PlannedStep]:
        if name == "rotate":
            self._turned ^= whole(args, 0) % 180 == 90
        if name == "sharpen" and true(args, 2):
            self._ignored.append("sharpen.luminance_only")
        if name in _STEPS:
            return _STEPS[name](args)
        if name == "curve":
            return curved(text)
        if name == "fill":
            return self._filled(args)
        if name == "watermark":
            return self._placed(args)
        if name == "upscale":
            sides = [0 if side == ORIGINAL else int(side) for side in (self._url.width, self._url.height)]
            enlarged = Resized(width=sides[0], height=sides[1], adaptive=self._url.adaptive)
            return (deferred(enlarged),) if all(sides) else ()
        if name in OUTPUTS:
            self._output |= OUTPUTS[name](args)
            return ()
        _SETTINGS[name](self, args)
        return ()

    def _filled(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        width, height = (0 if side == ORIGINAL else int(side) for side in (self._url.width, self._url.height))
        color = args[0] if args[0] in ("blur", "auto") else color_of(args[0])
        canvas = Canvas(
            width=width,
            height=height,
            color=color,
            under=true(args, 1),
            grows=self._url.full,
            adaptive=self._url.adaptive,
            turned=self._turned and bool(self._url.fit_in),
        )
        return (deferred(canvas),)

    def _placed(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        width, height = (
            0.0 if len(args) <= place or args[place] == "none" else within(number(args, place), 0, 1000)
            for place in (4, 5)
        )
        mark = self._files.add(source_of(args[0], SCHEME))
        if "repeat" in args[1:3]:
            return (
                deferred(
                    RepeatedMark(file_id=mark, x=args[1], y=args[2], alpha=number(args, 3), width=width, height=height)
                ),
            )
        placed = PlacedFile(file_id=mark, x=args[1], y=args[2], alpha=number(args, 3), width=width, height=height)
        return (deferred(placed),)

    def set_format(self, args: Sequence[str]) -> None:
        self._output |= format_of(args, _FORMATS, _UNWRITTEN)

    def set_max_age(self, args: Sequence[str]) -> None:
        self._max_age = max(0, whole(args, 0))

    def strip_profile(self, args: Sequence[str]) -> None:  # noqa: ARG002 (the signature of every filter)
        self._output["profile"] = "strip"

    def first_frame(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frames = 1

    def keep_size(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame["enlarge"] = False

    def stretch(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame["stretch"] = True

    def take_jpeg(self, args: Sequence[str]) -> None:
        if true(args, 0, default=True):
            self._ignored.append("autojpg")

    def focus(self, args: Sequence[str]) -> None:
        found = re.match(r"(\d+)x(\d+):(\d+)x(\d+)", args[0] if args else "")
        if found is None:
            raise NotForFilterError
        left, top, right, bottom = map(digits, found.groups())
        if left != right and top != bottom:
            self._focal.append((left, top, right, bottom))

    def strip_metadata(self, args: Sequence[str]) -> None:
        """Do nothing: results never have the metadata that the filter removes."""


class RepeatedMark(Deferred):
    """A mark that is repeated along one side or both."""

    file_id: int
    x: str
    y: str
    alpha: float
    width: float
    height: float

    def lowered(self, size: Size) -> Sequence[PlannedStep]:
        x, y = (
            0 if text == "repeat" else place_along(text, side)
            for text, side in ((self.x, size.width), (self.y, size.height))
        )
        params = {
            "file_id": self.file_id,
            "along_x": self.x == "repeat",
            "along_y": self.y == "repeat",
            "x": x,
            "y": y,
            "from_right": self.x.startswith("-"),
            "from_bottom": self.y.startswith("-"),
            "center_x": self.x == "center",
            "center_y": self.y == "center",
            "width": self.width,
            "height": self.height,
            "opacity": within(100 - self.alpha, 0, 100),
        }
        return [step("spaced_marks", params)]


def _blurred(args: Sequence[str]) -> Sequence[PlannedStep]:
    radius = whole(args, 0)
    sigma = max(_LEAST_SIGMA, abs(number(args, 1, 0.0)) or radius)
    radius = min(radius, _LARGEST_RADIUS)
    # thumbor truncates its Gaussian at the radius: blur with the standard deviation of the truncated weights.
    places = range(-radius, radius + 1)
    weights = [math.exp(-place * place / (2 * sigma * sigma)) for place in places]
    variance = sum(place * place * weight for place, weight in zip(places, weights, strict=True)) / sum(weights)
    return (step("blur", {"radius": within(variance**0.5, 0.01, 100)}),)


def _sharpened(args: Sequence[str]) -> Sequence[PlannedStep]:
    amount, radius = number(args, 0), number(args, 1)
    if amount <= 0 or radius <= 0:
        return ()
    return (step("sharpen", {"amount": within(amount * 100, 0, 1000), "radius": within(radius, 0.01, 50)}),)


def _colorized(args: Sequence[str]) -> Sequence[PlannedStep]:
    red, green, blue = (within(number(args, place), 0, 100) for place in range(3))
    color = color_of(args[3] if len(args) > 3 else "")
    return (step("colorize", {"color": color, "red": red, "green": green, "blue": blue}),)


def _rounded(args: Sequence[str]) -> Sequence[PlannedStep]:
    across, _, down = args[0].partition("|")
    radius = number([across], 0)
    bands = [int(within(number(args, place), 0, 255)) for place in (1, 2, 3)]
    color = None if true(args, 4) else "#" + "".join(f"{band:02x}" for band in bands)
    return rounded(radius, number([down], 0, radius), color)


def _noisy(args: Sequence[str]) -> Sequence[PlannedStep]:
    # thumbor's noise is uniform from -amount to amount; the catalog's is Gaussian, with the same standard deviation.
    deviation = number(args, 0) / _SQUARE_ROOT_OF_3 / 2.55
    return (step("noise", {"amount": within(deviation, 0, 100), "seed": whole(args, 1, 0)}),)


def _in_proportion(args: Sequence[str]) -> Sequence[PlannedStep]:
    share = number(args, 0)
    return (deferred(Resized(share=share)),) if 0 < share < 1 else ()


_STEPS: Mapping[str, Make] = {
    **COMMON,
    "background_color": single_step("flatten", lambda args: {"background": color_of(args[0] if args else "")}),
    "blur": _blurred,
    "colorize": _colorized,
    "convolution": convolved,
    "contrast": lambda args: contrasted((max(-100, min(1000, whole(args, 0))) + 100) ** 2 / 10_000),
    "equalize": single_step("equalize_bands", lambda _: {}),
    "noise": _noisy,
    "proportion": _in_proportion,
    "round_corner": _rounded,
    "saturation": single_step("perceived_saturation", lambda args: {"factor": within(number(args, 0), -1000, 1000)}),
    "sharpen": _sharpened,
}

_WHOLE, _SIGNED, _POSITIVE = r"\d+", r"-?\d+", r"0*[1-9]\d*"
_DECIMAL = r"-?(?:\d+(?:\.\d*)?|\.\d+)"
_TEXT = r"'.+?'|[^,\s](?:[^,]*?[^,\s])?"
_YES_OR_NO = r"[Tt]rue|[Ff]alse|1|0"
_WORD = r"\w+"
_WHERE = r"-?\d+p?|center|repeat"
_RATIO = r"-?\d+(?:\.\d+)?|none"
_POINTS = r"\[(?:\(\d+,\s*\d+\),?\s*)*\]"


def _shape(*required: str, optional: Sequence[str] = ()) -> re.Pattern[str]:
    """Return the pattern of a filter's arguments; thumbor skips a filter whose arguments do not match."""
    parts = [rf"(?:{',' if place else ''}\s*({text})\s*)" for place, text in enumerate((*required, *optional))]
    return re.compile("".join([*parts[: len(required)], *(f"{part}?" for part in parts[len(required) :])]) + r"\)")


_SHAPES: Mapping[str, re.Pattern[str]] = {
    "autojpg": _shape(optional=[_YES_OR_NO]),
    "background_color": _shape(_WORD),
    "blur": _shape(_POSITIVE, optional=[_DECIMAL]),
    "brightness": _shape(_SIGNED),
    "colorize": _shape(_WHOLE, _WHOLE, _WHOLE, _TEXT),
    "contrast": _shape(_SIGNED),
    "convolution": _shape(r"-?\d+(?:\.\d*)?(?:;-?\d+(?:\.\d*)?)*", _POSITIVE, optional=[_YES_OR_NO]),
    "cover": _shape(),
    "curve": _shape(_POINTS, _POINTS, _POINTS, _POINTS),
    "equalize": _shape(),
    "fill": _shape(_WORD, optional=[_YES_OR_NO]),
    "focal": _shape(_TEXT),
    "format": _shape(_TEXT),
    "grayscale": _shape(),
    "max_age": _shape(_WHOLE),
    "max_bytes": _shape(_WHOLE),
    "no_upscale": _shape(),
    "noise": _shape(_WHOLE, optional=[_WHOLE]),
    "proportion": _shape(_DECIMAL),
    "quality": _shape(_WHOLE),
    "rgb": _shape(_SIGNED, _SIGNED, _SIGNED),
    "rotate": _shape(_SIGNED),
    "round_corner": _shape(r"\d+(?:\|\d+)?", _WHOLE, _WHOLE, _WHOLE, optional=[_YES_OR_NO]),
    "saturation": _shape(_DECIMAL),
    "sharpen": _shape(_DECIMAL, _DECIMAL, _YES_OR_NO),
    "stretch": _shape(),
    "strip_exif": _shape(),
    "strip_icc": _shape(),
    "upscale": _shape(),
    "watermark": _shape(_TEXT, _WHERE, _WHERE, _WHOLE, optional=[_RATIO, _RATIO]),
}


def fitting(filter_: Filter) -> Sequence[str]:
    """Return the arguments of a filter.

    :raises NotForFilterError: they do not match the filter's pattern.
    """
    found = _SHAPES[filter_.name].match(f"{filter_.args})")
    if found is None:
        raise NotForFilterError
    return [re.sub(r"^'(.+)'$", r"\1", text) for text in found.groups() if text]


_SETTINGS: Mapping[str, Callable[[_Lowering, Sequence[str]], None]] = {
    "autojpg": _Lowering.take_jpeg,
    "cover": _Lowering.first_frame,
    "focal": _Lowering.focus,
    "format": _Lowering.set_format,
    "max_age": _Lowering.set_max_age,
    "no_upscale": _Lowering.keep_size,
    "stretch": _Lowering.stretch,
    "strip_exif": _Lowering.strip_metadata,
    "strip_icc": _Lowering.strip_profile,
}

FILTERS: Mapping[str, State] = {
    "autojpg": State("part", "accepted, but the format is that of the source or one that the client accepts"),
    "background_color": State("yes", "`flatten`"),
    "blur": State("yes", "`blur`, as wide as thumbor's, whose kernel ends at the radius; at most 100"),
    "brightness": State("yes", "`brightness`"),
    "colorize": State("yes", "`colorize`"),
    "contrast": State("yes", "`contrast` or `levels`, with thumbor's formula: the square of 1 + amount / 100"),
    "convolution": State("part", "`convolve` with 3, 5 or 7 columns; filters of other sizes are skipped"),
    "cover": State("yes", "only the first frame"),
    "curve": State("part", "`curves`, which interpolates between the points in another way"),
    "equalize": State("yes", "each band separately, as in thumbor"),
    "extract_focal": State("no", sentence("the source is a file, not another URL of thumbor")),
    "fill": State("yes", "`pad` or `extend`; `auto` is the average color, not the median"),
    "focal": State("yes", "points that the crop keeps"),
    "format": State("part", "jpeg, png, webp, avif and gif; heic and heif are refused"),
    "frame": State("no", sentence("nine-patch frames are not read")),
    "grayscale": State("yes", "`grayscale`"),
    "max_age": State("yes", "the header `Cache-Control`"),
    "max_bytes": State("yes", "`output.max_bytes`"),
    "no_upscale": State("yes", "the result is at most as large as the source"),
    "noise": State("part", "`noise`: normally distributed, with thumbor's standard deviation"),
    "proportion": State("yes", "`resize`"),
    "quality": State("yes", "`output.quality`"),
    "red_eye": State("no", sentence("eyes are not found")),
    "rgb": State("yes", "`channels`"),
    "rotate": State("yes", "`rotate`, counterclockwise as in thumbor"),
    "round_corner": State("yes", "`round_corners` and `flatten`"),
    "saturation": State("yes", "a factor, relative to thumbor's gray"),
    "sharpen": State("part", "`sharpen`, always of all bands"),
    "stretch": State("yes", "nothing is cropped"),
    "strip_exif": State("yes", "results never have EXIF"),
    "strip_icc": State("yes", "`output.profile`"),
    "upscale": State("yes", "`resize`"),
    "watermark": State("yes", "`stamp`; repeated marks are never cut off and have gaps between them"),
}
"""Every filter of thumbor, and whether Pixmill supports it. Unknown filters are skipped, as in thumbor."""
