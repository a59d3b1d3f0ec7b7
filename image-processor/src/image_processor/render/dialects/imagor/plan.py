"""Turns imagor's URLs into plans."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from service_kit.texts import sentence

from image_processor.imaging.output import Output
from image_processor.imaging.source import Source
from image_processor.render.dialects.imagor.filters import FILTERS, STEPS, TRANSPARENT, filling, painted, trim_of
from image_processor.render.dialects.imagor.frame import (
    AverageCanvas,
    ImagorFrame,
    InParent,
    Labeled,
    LaidOn,
    PlacedOver,
    StillOnly,
    named,
)
from image_processor.render.dialects.imagor.url import from_base64, parse, sides_of
from image_processor.render.dialects.named_sources import FileIds, source_of
from image_processor.render.dialects.thumbor.filters import (
    AUTO,
    COMMON,
    OUTPUTS,
    Canvas,
    NotForFilterError,
    color_of,
    format_of,
    number,
    whole,
    within,
)
from image_processor.render.dialects.thumbor.url import Filter, ThumborUrl, digits
from image_processor.render.plans.deferred import PlannedStep, deferred
from image_processor.render.plans.plan import (
    ColorSource,
    Content,
    Encoding,
    NamedFilter,
    PlanSource,
    RenderPlan,
    Wishes,
)
from image_processor.render.problems import expired, numbers_in_range, unsupported

QUALITY = 75
SCHEME = "https"
"""The scheme of an image without one, which is the default of imagor's HTTP loader."""
_COLOR = "color:"
_DEEPEST = 3
"""The maximum depth of images on images."""
_FORMATS = {
    **{name: name for name in ("jpeg", "png", "gif", "webp", "avif", "tiff")},
    **dict.fromkeys(("jpg", "bmp", "pdf"), "jpeg"),
    "tif": "tiff",
}
_UNWRITTEN = ("jxl", "jp2", "heif")
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
class ImagorDefaults:
    """imagor's server settings that change results."""

    quality: int = QUALITY
    strip_metadata: bool = False
    negotiated: bool = False


def plan_of(url: ThumborUrl, defaults: ImagorDefaults = ImagorDefaults(), now: float | None = None) -> RenderPlan:
    """Return the plan of a URL.

    :param now: seconds since 1970; by default the current time.
    :raises DomainError: ``bad-render-url``, ``unsupported-render-option``, ``expired-render-url``.
    """
    with numbers_in_range():
        plan = _Lowering(url, defaults, FileIds()).plan()
    if 0 < plan.wishes.expires <= (time.time() if now is None else now):
        raise expired()
    return plan


def image_of(text: str) -> PlanSource:
    """Return the source: a file, a URL, or ``color:red``."""
    if text.startswith(_COLOR):
        try:
            return ColorSource(color_of(text.removeprefix(_COLOR) or "none"))
        except NotForFilterError:
            return ColorSource("#00000000")
    return source_of(text, SCHEME)


class _Lowering:
    """Reads the filters and collects the files that they name."""

    def __init__(self, url: ThumborUrl, defaults: ImagorDefaults, files: FileIds, depth: int = 0) -> None:
        self._url = url
        self._defaults = defaults
        self._files = files
        self._depth = depth
        self._turned = False
        self._noted = list[NamedFilter]()
        self._output: dict[str, object] = {"metadata": "keep"}
        if defaults.strip_metadata:
            self.strip_metadata(())
        self._by_format: Mapping[str, Mapping[str, object]] = {}
        self._frame: dict[str, object] = {}
        self._reading: dict[str, object] = {}
        self._focal = list[tuple[float, ...]]()
        self._upscale = not url.fit_in or url.full
        self._wishes: dict[str, object] = {}
        self._answer: Content = "imagor meta" if url.meta else "image"
        self._ignored = list[str]()

    def plan(self) -> RenderPlan:
        source = image_of(self._url.image)
        steps = self.steps()
        # libvips, which imagor gives no background, puts transparent parts of a JPEG on black.
        output = Output.model_validate({"format": "source", "background": "#000000"} | self._output)
        qualities = tuple((name, self._defaults.quality) for name in ("jpeg", "webp", "avif"))
        return RenderPlan(
            source=source,
            steps=tuple(steps),
            encoding=Encoding.by_url(
                output,
                chosen_by_client=self._defaults.negotiated,
                qualities=qualities,
                lossy_alone=True,
                by_format=self._by_format,
            ),
            reading=Source.model_validate(self._reading),
            files=self._files.all(),
            answer=self._answer,
            wishes=Wishes(
                file_name=str(self._wishes.get("file_name", "")),
                attachment=self._wishes.get("attachment") is True,
                max_age=_integer(self._wishes.get("max_age")),
                expires=_integer(self._wishes.get("expires")) or 0,
            ),
            ignored=tuple(self._ignored),
            filters=tuple(self._noted) if self._url.meta else (),
        )

    def steps(self) -> Sequence[PlannedStep]:
        """Return the frame and the filters, in the order of the URL."""
        filters = [made for filter_ in self._url.filters for made in self._of(filter_)]
        return [deferred(self._framed()), *filters]

    def _framed(self) -> ImagorFrame:
        url = self._url
        return ImagorFrame.model_validate(
            {
                "trim": None if url.trim is None else trim_of(url.trim),
                "crop": url.crop,
                "upscale": self._upscale,
                "quick": self._is_quick(),
                "width": int(url.width),
                "height": int(url.height),
                "fit_in": bool(url.fit_in),
                "adaptive": url.adaptive,
                "full": url.full,
                "stretch": url.stretch,
                "halign": url.halign,
                "valign": url.valign,
                "smart": url.smart,
                "focal": self._focal,
                "flip_horizontal": url.flip_horizontal,
                "flip_vertical": url.flip_vertical,
            }
            | self._frame
            | self._sides_of_color()
        )

    def _sides_of_color(self) -> dict[str, object]:
        """Return params that give a color area the URL's size; a missing side equals the other one."""
        if not self._url.image.startswith(_COLOR):
            return {}
        width, height = int(self._url.width), int(self._url.height)
        return {"width": width or height, "height": height or width, "fit_in": False, "stretch": True, "quick": True}

    def _of(self, filter_: Filter) -> Sequence[PlannedStep]:
        """Return the steps of a filter; skip unknown and invalid filters, as imagor does."""
        state = FILTERS.get(filter_.name)
        if state is None or (filter_.name in _OF_META and not self._url.meta):
            self._ignored.append(filter_.name)
            return ()
        if state.done == "no":
            raise unsupported(filter_.name, state.note)
        try:
            made = self._made(filter_.name, _split(filter_.args))
        except NotForFilterError:
            self._ignored.append(filter_.name)
            self._noted.append(NamedFilter(filter_.name, filter_.args, done=False))
            return ()
        self._noted.append(NamedFilter(filter_.name, filter_.args, done=True))
        args = _split(filter_.args)
        unread = _UNREAD.get(filter_.name, ())
        self._ignored += [f"{filter_.name}.{argument}" for place, argument in unread if any(args[place:])]
        return made

    def _made(self, name: str, args: Sequence[str]) -> Sequence[PlannedStep]:
        if name in _OF_META:
            if name == "blurhash" and not (len(args) == 2 and all(1 <= whole(args, place) <= 9 for place in (0, 1))):
                raise NotForFilterError
            return ()
        if name in _BY_URL:
            return _BY_URL[name](self, args)
        if name in STEPS:
            made = STEPS[name](args)
            return (deferred(StillOnly(steps=named(made))),) if name in _NOT_ANIMATED and made else made
        if name in OUTPUTS:
            _at_least_one(args)
            self._output |= OUTPUTS[name](args)
            return ()
        _SETTINGS[name](self, args)
        return ()

    def _is_quick(self) -> bool:
        """Return whether imagor would decode the source at the final size, as no operation needs all its pixels."""
        url = self._url
        if url.trim is not None or url.flip_vertical or url.full or url.adaptive or any(url.crop or ()):
            return False
        slow = ("trim", "focal", "rotate", "orient", "max_bytes")
        on_auto = ("fill", "background_color")
        return not any(
            filter_.name in slow or (filter_.name in on_auto and filter_.args.partition(",")[0] == "auto")
            for filter_ in url.filters
        )

    def filled(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        left, top, right, bottom = self._url.padding or (0, 0, 0, 0)
        color = filling(args[0] if args else "")
        canvas = Canvas(
            width=int(self._url.width),
            height=int(self._url.height),
            color=color,
            left=left,
            top=top,
            right=right,
            bottom=bottom,
            under=color != TRANSPARENT,
            grows=self._url.full,
            adaptive=self._url.adaptive,
            turned=self._turned,
            turns=True,
        )
        return (deferred(AverageCanvas(canvas=canvas) if color == AUTO else canvas),)

    def placed(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        if not args:
            raise NotForFilterError
        width = height = 0.0
        if len(args) > 5:
            width, height = (100.0 if text == "none" else within(number([text], 0), 0, 1000) for text in args[4:6])
        x, y = args[1:3] if len(args) > 2 else ("0", "0")
        placed = PlacedOver(
            file_id=self._files.add(source_of(from_base64(unquote_plus(args[0])), SCHEME)),
            x=x,
            y=y,
            alpha=number(args, 3, 0.0),
            width=width,
            height=height,
        )
        return (deferred(placed),)

    def overlaid(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        """Return the step that overlays a nested URL's image, whose sides may depend on those of the outer image."""
        if not args:
            raise NotForFilterError
        if self._depth >= _DEEPEST:
            raise unsupported("image", sentence("images lie on each other at most {count} deep", count=_DEEPEST))
        path, width, height = sides_of(unquote_plus(args[0]))
        nested = parse(f"/unsafe/{path.removeprefix('/')}".encode("utf-8", "surrogateescape"))
        inner = _Lowering(nested, self._defaults, self._files, self._depth + 1)
        steps = inner.steps()
        self._ignored += inner._ignored
        source = image_of(nested.image)
        color = source.color if isinstance(source, ColorSource) else None
        placed = PlacedOver(
            file_id=self._files.add(source) if color is None else 1,
            x=args[1] if len(args) > 1 else "0",
            y=args[2] if len(args) > 2 else "0",
            alpha=number(args, 3, 0.0),
            blend=_BLENDS.get(args[4].lower() if len(args) > 4 else "", "normal"),
        )
        if color is None and width is None and height is None and not nested.filters and not nested.has_geometry:
            return (deferred(placed),)
        across = width or InParent(pixels=int(nested.width))
        down = height or InParent(pixels=int(nested.height))
        if color is not None:
            # As for a color alone: a missing side equals the other one.
            across, down = (across if across.is_set() else down), (down if down.is_set() else across)
        laid = LaidOn(place=placed, color=color, width=across, height=down, steps=named(steps))
        return (deferred(laid),)

    def labeled(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        if not args:
            raise NotForFilterError
        return self._lettered(
            args, size=whole(args, 3, 20), color=args[4] if len(args) > 4 else "", alpha=5, bold=False
        )

    def lettered(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        """Return the step that draws a text; its font contains the size: ``sans-bold-24``."""
        if not args:
            raise NotForFilterError
        if any(args[7:]) or (len(args) > 6 and _BLENDS.get(args[6].lower(), "normal") != "normal"):
            raise unsupported("text", sentence("a text has a place, a size and a color, and is not wrapped or blended"))
        font = args[3] if len(args) > 3 else ""
        if not _FACES.issuperset(re.split(r"[-\d]", font.lower())):
            self._ignored.append("text.font")
        size = re.search(r"-(\d+)$", font)
        color = args[4] if len(args) > 4 else ""
        return self._lettered(args, size=digits(size[1]) if size else 20, color=color, alpha=5, bold="bold" in font)

    def _lettered(self, args: Sequence[str], *, size: int, color: str, alpha: int, bold: bool) -> Sequence[PlannedStep]:
        text = from_base64(unquote_plus(args[0]))
        if not text.strip():
            raise NotForFilterError
        label = Labeled(
            text=text[:1000],
            x=args[1] if len(args) > 1 else "0",
            y=args[2] if len(args) > 2 else "0",
            size=int(within(size, 1, 1000)),
            color=painted(color),
            alpha=number(args, alpha, 0.0),
            bold=bold,
        )
        return (deferred(label),)

    def padded(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        left = whole(args, 1)
        top = whole(args, 2, left)
        right, bottom = (whole(args, 3), whole(args, 4)) if len(args) > 4 else (left, top)
        color = filling(args[0])
        canvas = Canvas(color=color, under=color != TRANSPARENT, left=left, top=top, right=right, bottom=bottom)
        return (deferred(AverageCanvas(canvas=canvas) if color == AUTO else canvas),)

    def set_format(self, args: Sequence[str]) -> None:
        self._output |= format_of(args, _FORMATS, _UNWRITTEN)

    def set_max_age(self, args: Sequence[str]) -> None:
        self._wishes["max_age"] = max(0, whole(args, 0))

    def set_expiry(self, args: Sequence[str]) -> None:
        self._wishes["expires"] = max(1, -(-whole(args, 0) // 1000))

    def attach(self, args: Sequence[str]) -> None:
        self._wishes |= {"attachment": True, "file_name": unquote_plus(args[0]) if args else ""}

    def strip_metadata(self, args: Sequence[str]) -> None:
        """Strip everything; imagor counts the profile too."""
        self.strip_exif(args)
        self.strip_profile(args)

    def strip_exif(self, args: Sequence[str]) -> None:  # noqa: ARG002 (the signature of every filter)
        self._output["metadata"] = "strip"

    def strip_profile(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["profile"] = "strip"

    def set_lossless(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._by_format = {name: {"lossless": True} for name in ("webp", "avif")}

    def set_palette(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["palette"] = True

    def set_effort(self, args: Sequence[str]) -> None:
        self._output["effort"] = int(within(whole(args, 0), 1, 9))

    def set_frames(self, args: Sequence[str]) -> None:
        self._reading["frames"] = _at_least_one(args)

    def set_page(self, args: Sequence[str]) -> None:
        self._reading["page"] = _at_least_one(args)

    def set_dpi(self, args: Sequence[str]) -> None:
        self._reading["dpi"] = int(within(_at_least_one(args), 10, 2400))

    def send_original(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._answer = "original"

    def set_depth(self, args: Sequence[str]) -> None:
        if (depth := whole(args, 0)) in (1, 2, 4):
            self._output |= {"palette": True, "colors": 2**depth}
        elif depth != 8:
            raise NotForFilterError

    def take_jpeg(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._output["format"] = "jpeg"

    def turned(self, args: Sequence[str]) -> Sequence[PlannedStep]:
        degrees = whole(args, 0)
        if degrees not in (90, 180, 270):
            raise NotForFilterError
        self._turned ^= degrees != 180
        return COMMON["rotate"](args)

    def turn_first(self, args: Sequence[str]) -> None:
        degrees = whole(args, 0)
        if degrees not in (90, 180, 270):
            raise NotForFilterError
        self._frame["turn"] = -degrees % 360

    def keep_size(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._upscale = False

    def upscale(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._upscale = True

    def stretch(self, args: Sequence[str]) -> None:  # noqa: ARG002
        self._frame["stretch"] = True

    def focus(self, args: Sequence[str]) -> None:
        parts = [part for part in re.split("[x,:]", ",".join(args)) if part]
        if len(parts) not in (2, 4):
            raise NotForFilterError
        self._focal.append(tuple(number(parts, place) for place in range(len(parts))))

    def store_nothing(self, args: Sequence[str]) -> None:  # noqa: ARG002
        """Report the filter, with which imagor does not store the result; the cache keeps every result."""
        self._ignored.append("preview")


def _at_least_one(args: Sequence[str]) -> int:
    """Return the number; imagor skips a filter with a number below 1 where it counts or measures something."""
    if (found := whole(args, 0)) < 1:
        raise NotForFilterError
    return found


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _split(text: str) -> list[str]:
    """Split the arguments at commas, except within parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts] if text else []


_NOT_ANIMATED = ("blur", "pixelate", "sharpen")
WITHOUT_EFFECT = ("preview",)
"""Supported filters that change nothing."""
_FACES = frozenset(("", "sans", "roboto", "regular", "bold"))
"""The words of a font that Pixmill has."""
_UNREAD: Mapping[str, Sequence[tuple[int, str]]] = {
    "background_color": [(1, "corner")],
    "fill": [(1, "corner")],
    "label": [(6, "font")],
    "redact": [(1, "strength")],
}
"""The arguments of supported filters that change nothing, by their places."""
_OF_META = ("avgcolor", "blurhash", "thumbhash")
"""Filters that only ``meta`` URLs support."""
_BY_URL: Mapping[str, Callable[[_Lowering, Sequence[str]], Sequence[PlannedStep]]] = {
    "fill": _Lowering.filled,
    "image": _Lowering.overlaid,
    "label": _Lowering.labeled,
    "padding": _Lowering.padded,
    "rotate": _Lowering.turned,
    "text": _Lowering.lettered,
    "watermark": _Lowering.placed,
}
_SETTINGS: Mapping[str, Callable[[_Lowering, Sequence[str]], None]] = {
    "attachment": _Lowering.attach,
    "autojpg": _Lowering.take_jpeg,
    "bitdepth": _Lowering.set_depth,
    "compression": _Lowering.set_effort,
    "dpi": _Lowering.set_dpi,
    "expire": _Lowering.set_expiry,
    "focal": _Lowering.focus,
    "format": _Lowering.set_format,
    "lossless": _Lowering.set_lossless,
    "max_age": _Lowering.set_max_age,
    "max_frames": _Lowering.set_frames,
    "no_upscale": _Lowering.keep_size,
    "orient": _Lowering.turn_first,
    "page": _Lowering.set_page,
    "palette": _Lowering.set_palette,
    "preview": _Lowering.store_nothing,
    "raw": _Lowering.send_original,
    "stretch": _Lowering.stretch,
    "strip_exif": _Lowering.strip_exif,
    "strip_icc": _Lowering.strip_profile,
    "strip_metadata": _Lowering.strip_metadata,
    "upscale": _Lowering.upscale,
}
