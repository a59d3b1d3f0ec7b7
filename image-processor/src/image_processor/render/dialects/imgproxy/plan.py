"""Turns the options of an imgproxy URL into a plan of the catalog's steps, and refuses unsupported options by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from service_kit.texts import sentence

from image_processor.algorithms.trim import TrimParams
from image_processor.imaging.output import Output
from image_processor.imaging.source import Source
from image_processor.render.dialects.imgproxy.frame import Gravity, ImgproxyFrame, Mark, NamedStep
from image_processor.render.dialects.imgproxy.options import Value, Values
from image_processor.render.dialects.named_sources import FileIds, source_of
from image_processor.render.dialects.thumbor.filters import State
from image_processor.render.dialects.trimming import PeerTrim
from image_processor.render.plans.deferred import PlannedStep, deferred
from image_processor.render.plans.plan import Bounds, Content, Encoding, PlanSource, RenderPlan, Wishes, step
from image_processor.render.problems import bad_option, numbers_in_range, unsupported

_T = TypeVar("_T")
QUALITIES = (("jpeg", 80), ("webp", 79), ("avif", 63), ("tiff", 80))
WRITTEN = ("jpeg", "png", "webp", "avif", "gif", "tiff")
PREFERRED = ("jpeg", "png", "gif")
"""imgproxy's preferred formats by default, which `best` compares for every client."""
_KERNELS = {"nearest": "nearest", "linear": "linear", "cubic": "cubic", "lanczos2": "lanczos2", "lanczos3": "lanczos3"}
_NO_OBJECTS = sentence("Pixmill finds faces, and no other objects")

REFUSED: Mapping[str, str] = {
    "preserve_hdr": sentence("results have at most 16 bits per band in PNG and TIFF, and 8 in other formats"),
    "enforce_thumbnail": sentence("the thumbnail within a HEIC or AVIF file is not read"),
    "draw_detections": sentence("rectangles around faces are not drawn"),
    "style": sentence("an SVG is drawn as it is"),
    "dpi": sentence("the resolution in the metadata is not changed"),
    "pages": sentence("pages are not joined into one image; `montage` does that for several files"),
    "watermark_shadow": sentence("marks have no shadow; a text has an outline"),
    "hashsum": sentence("the hash of a source is not compared"),
    "video_thumbnail_second": sentence("videos are not read"),
    "video_thumbnail_keyframes": sentence("videos are not read"),
    "video_thumbnail_tile": sentence("videos are not read"),
    "video_thumbnail_animation": sentence("videos are not read"),
}
"""Options that are parsed but not supported, by the first part of their keys."""

_OFF: Mapping[str, Sequence[Value]] = {"dpi": (0,), "pages": (1,), "watermark_shadow": (0,)}
"""Accepted values of unsupported options, because they request what happens anyway; of other options, ``False``."""

_STATES: Mapping[str, State] = {
    "resize": State("yes", "`resizing_type`, `width`, `height`, `enlarge` and `extend` together"),
    "size": State("yes", "`width`, `height`, `enlarge` and `extend` together"),
    "resizing_type": State("yes", "fit, fill, fill-down, force and auto, to the pixel"),
    "width": State("yes", "pixels"),
    "height": State("yes", "pixels"),
    "min-width": State("yes", "pixels"),
    "min-height": State("yes", "pixels"),
    "zoom": State("yes", "multiplies the size"),
    "dpr": State("yes", "multiplies sizes, offsets and padding"),
    "enlarge": State("yes", "off by default"),
    "extend": State("yes", "`pad`, transparent"),
    "extend_aspect_ratio": State("yes", "`pad`, transparent"),
    "gravity": State(
        "part", "sides, corners, `fp` and `sm`; `obj` and `objw` (Pro) find only faces; without a face, they are `sm`"
    ),
    "crop": State("yes", "`crop`"),
    "trim": State("yes", "`trim`; not for animations"),
    "padding": State("yes", "`pad`"),
    "auto_rotate": State("yes", "`source.upright`"),
    "rotate": State("yes", "`rotate`"),
    "flip": State("yes", "`flip`"),
    "background": State("yes", "`flatten`"),
    "blur": State("yes", "`blur`, at most 100"),
    "sharpen": State("part", "`sharpen`: a different operator with the same radius"),
    "pixelate": State("yes", "`pixelate`"),
    "watermark": State("yes", "`stamp`, with the file of the setting `watermark`"),
    "strip_metadata": State("yes", "`output.metadata`"),
    "keep_copyright": State("yes", "`output.metadata`"),
    "strip_color_profile": State("yes", "`output.profile`"),
    "quality": State("yes", "`output.quality`"),
    "format_quality": State("yes", "`output.quality`"),
    "max_bytes": State("yes", "`output.max_bytes`"),
    "format": State("part", f"{', '.join(WRITTEN)}, and `best` (Pro), chosen by size; others are refused"),
    "skip_processing": State("yes", "the unchanged source, unless the URL chooses another format"),
    "raw": State("yes", "the unchanged source"),
    "cachebuster": State("yes", "no effect on the result"),
    "expires": State("yes", "the response is 404 after this time"),
    "filename": State("yes", "the header `Content-Disposition`"),
    "return_attachment": State("yes", "the header `Content-Disposition`"),
    "preset": State("yes", "the setting `presets`"),
    "max_src_resolution": State("yes", "if the setting `allow_security_options` allows it"),
    "max_src_file_size": State("yes", "if the setting `allow_security_options` allows it"),
    "max_animation_frames": State(
        "yes", "if the setting `allow_security_options` allows it; otherwise 1, as in imgproxy"
    ),
    "max_animation_frame_resolution": State("yes", "if the setting `allow_security_options` allows it"),
    "max_result_dimension": State("yes", "if the setting `allow_security_options` allows it"),
    "adjust": State("yes", "`brightness`, `contrast` and `saturation`"),
    "brightness": State("yes", "`brightness`"),
    "contrast": State("yes", "`contrast` or `levels`"),
    "saturation": State("yes", "`saturation`"),
    "monochrome": State("yes", "`monochrome`"),
    "duotone": State("part", "`duotone`, only with an intensity of 1"),
    "unsharp_masking": State("part", "`sharpen`, only with the mode `always`; `auto` and the divider have no effect"),
    "colorize": State("yes", "`colorize`; transparency is kept"),
    "gradient": State("yes", "`gradient`"),
    "background_alpha": State("yes", "`flatten`"),
    "resizing_algorithm": State("yes", "the resampling kernel"),
    "crop_aspect_ratio": State("yes", "`crop`"),
    "crop_objects": State("part", "`crop_faces`: only faces"),
    "blur_areas": State("yes", "`blur_areas`"),
    "blur_detections": State("part", "`blur_faces`: only faces; the blur grows with the face"),
    "progressive_blur": State("yes", "`progressive_blur`"),
    "watermark_url": State("yes", "`stamp`"),
    "watermark_text": State("part", "`watermark`: its size depends on the image, not on a font size"),
    "watermark_size": State("yes", "`stamp`"),
    "watermark_rotate": State("part", "only for a text"),
    "autoquality": State(
        "part",
        "`size` is `output.max_bytes`, `dssim` is `output.min_ssim`, up to the maximum quality; the minimum quality and"
        " the allowed error have no effect; no `ml`",
    ),
    "jpeg_options": State("part", "progressive and no_subsample; the others have no effect"),
    "png_options": State("yes", "progressive, palette and colors"),
    "webp_options": State("part", "lossless; the others have no effect"),
    "avif_options": State("part", "subsampling"),
    "page": State("yes", "`source.page`"),
    "disable_animation": State("yes", "`source.frames`"),
    "color_profile": State("part", "`to_colorspace`: srgb, p3 and cmyk"),
    "fallback_image_url": State("yes", "sent instead of an error"),
    "bypass_cache": State("yes", "accepted; results are cached anyway"),
    "cache_tags": State("yes", "accepted; results are removed with their files"),
}
OPTION_STATES: Mapping[str, State] = {**_STATES, **{name: State("no", why) for name, why in REFUSED.items()}}
"""Every option of imgproxy and imgproxy Pro by its long name, and whether Pixmill supports it."""

WITHOUT_EFFECT = ("cachebuster", "bypass_cache", "cache_tags", "used_presets")

IGNORED: Mapping[str, Sequence[Value]] = {
    "autoquality.min": (0, 1),
    "autoquality.allowed_error": (0.0,),
    "blur_detections.sigma": (),
    "colorize.keep_alpha": (True,),
    "unsharp_masking.mode": ("none", "always"),
    "unsharp_masking.divider": (24.0,),
    "jpeg.trellis_quant": (False,),
    "jpeg.overshoot_deringing": (False,),
    "jpeg.optimize_scans": (False,),
    "jpeg.quant_table": (0,),
    "webp.compression": ("lossy", "lossless"),
    "webp.smart_subsample": (False,),
    "webp.preset": ("default",),
}
"""Arguments of supported options, with their values that are obeyed; others have no effect."""


def plan_of(source: str, options: Values, *, mark: PlanSource | None = None, negotiated: bool = False) -> RenderPlan:
    """Return the plan.

    :param mark: the watermark from the settings.
    :param negotiated: whether the client may choose the format if the URL names none.
    :raises DomainError: ``bad-render-url``, ``bad-render-option``, ``unsupported-render-option``.
    """
    with numbers_in_range():
        return _Lowering(options, mark).plan(source_of(source), negotiated=negotiated)


class _Lowering:
    """Reads the options once, and collects the files that the steps name."""

    def __init__(self, options: Values, mark: PlanSource | None) -> None:
        self._options = options
        self._mark = mark
        self._files = FileIds()

    def plan(self, source: PlanSource, *, negotiated: bool) -> RenderPlan:
        self._refuse()
        steps = (*self._trimmed(), *self._objects(), deferred(self._frame()))
        encoding = self._encoding(negotiated=negotiated)
        return RenderPlan(
            source=source,
            steps=steps,
            encoding=encoding,
            reading=self._reading(),
            files=self._files.all(),
            answer=self._answer(),
            # `best` asks for the best format of all, and not for that of the source.
            formats_as_they_are=() if self._get("format", str) == "best" else tuple(self._texts("skip_processing")),
            bounds=Bounds(
                self._get("max_src_resolution", int) or None,
                self._get("max_src_file_size", int) or None,
                self._get("max_animation_frame_resolution", int) or None,
            ),
            wishes=Wishes(
                file_name=self._get("filename", str) or "",
                attachment=self._is("return_attachment"),
                fallback=self._source("fallback_image_url"),
                expires=max(0, self._get("expires", int) or 0),
            ),
            ignored=(
                *(name for name in WITHOUT_EFFECT if name in self._options),
                *(key for key, obeyed in IGNORED.items() if key in self._options and self._options[key] not in obeyed),
                *self._ignored_of_text(),
            ),
        )

    def _ignored_of_text(self) -> Sequence[str]:
        """Return what a watermark does not obey if it is a text, which has one margin for all sides."""
        if "watermark_text" not in self._options or not self._number("watermark.opacity", 0.0):
            return ()
        has_effect = {
            "watermark.x_offset": self._number("watermark.x_offset", 0.0) >= 0,
            "watermark.y_offset": not self._number("watermark.y_offset", 0.0),
            "watermark_size": not any(self._get(f"watermark_size.{side}", int) for side in ("width", "height")),
        }
        return [name for name, obeyed in has_effect.items() if not obeyed]

    def _refuse(self) -> None:
        for key, value in self._options.items():
            name = key.partition(".")[0]
            if name in REFUSED and value not in _OFF.get(name, (False,)) and not self._is_unchecked(name):
                raise unsupported(name, REFUSED[name])

    def _is_unchecked(self, name: str) -> bool:
        return name == "hashsum" and self._get("hashsum.type", str) == "none"

    def _get(self, key: str, kind: type[_T]) -> _T | None:
        value = self._options.get(key)
        if kind is float and isinstance(value, int):
            return cast(_T, float(value))
        return value if isinstance(value, kind) else None

    def _is(self, key: str) -> bool:
        return self._options.get(key) is True

    def _texts(self, key: str) -> Sequence[str]:
        value = self._options.get(key, ())
        return [str(text) for text in value] if isinstance(value, list) else ()

    def _source(self, key: str) -> PlanSource | None:
        text = self._get(key, str)
        return source_of(text) if text else None

    def _number(self, key: str, default: float) -> float:
        found = self._get(key, float)
        return default if found is None else found

    def _answer(self) -> Content:
        return "original" if self._is("raw") else "image"

    def _reading(self) -> Source:
        page = self._get("page", int)
        frames = 1 if self._is("disable_animation") else self._get("max_animation_frames", int) or 1
        return Source(
            page=None if page is None else page + 1,
            upright=self._options.get("auto_rotate", True) is True,
            frames=frames,
        )

    def _trimmed(self) -> Sequence[PlannedStep]:
        threshold = self._get("trim.threshold", float)
        if threshold is None:
            return ()
        sides = {
            (False, False): "none",
            (True, False): "horizontal",
            (False, True): "vertical",
            (True, True): "both",
        }
        params: dict[str, object] = {
            "threshold": min(255.0, max(0.0, threshold)),
            "equal": sides[self._is("trim.equal_horizontal"), self._is("trim.equal_vertical")],
        }
        if color := self._get("trim.color", str):
            params["background"] = color
        return (deferred(PeerTrim(trim=TrimParams.model_validate(params))),)

    def _objects(self) -> Sequence[PlannedStep]:
        if "crop_objects.classes" not in self._options:
            return ()
        if not {"face", "all"}.issuperset(self._texts("crop_objects.classes")):
            raise unsupported("crop_objects", _NO_OBJECTS)
        return (step("crop_faces", {"padding": min(500.0, self._number("crop_objects.padding", 0.0) * 100)}),)

    def _frame(self) -> ImgproxyFrame:
        get = self._options.get
        return ImgproxyFrame.model_validate(
            {
                "resizing_type": get("resizing_type", "fit"),
                "width": get("width", 0),
                "height": get("height", 0),
                "min_width": get("min-width", 0),
                "min_height": get("min-height", 0),
                "zoom_x": self._number("zoom_width", 1.0),
                "zoom_y": self._number("zoom_height", 1.0),
                "dpr": self._number("dpr", 1.0),
                "enlarge": self._is("enlarge"),
                "extend": self._gravity("extend.gravity") if self._is("extend.enabled") else None,
                "extend_ratio": self._gravity("extend_aspect_ratio.gravity")
                if self._is("extend_aspect_ratio.enabled")
                else None,
                "gravity": self._gravity("gravity"),
                "crop_width": self._number("crop.width", 0.0),
                "crop_height": self._number("crop.height", 0.0),
                "crop_gravity": self._gravity("crop.gravity") if "crop.gravity.type" in self._options else None,
                "crop_ratio": self._number("crop_aspect_ratio.ratio", 0.0),
                "crop_ratio_enlarge": self._is("crop_aspect_ratio.enlarge"),
                "rotate": (self._get("rotate", int) or 0) % 360,
                "flip_horizontal": self._is("flip.horizontal"),
                "flip_vertical": self._is("flip.vertical"),
                "padding": tuple(
                    self._options.get(f"padding.{side}", 0) for side in ("top", "right", "bottom", "left")
                ),
                "background": self._background(),
                "kernel": _KERNELS[self._get("resizing_algorithm", str) or "lanczos3"],
                "max_side": get("max_result_dimension", 0),
                "filters": self._filters(),
                "mark": self._watermark(),
            }
        )

    def _gravity(self, key: str) -> Gravity:
        kind = self._get(f"{key}.type", str) or "ce"
        if kind in ("obj", "objw"):
            weights = self._options.get(f"{key}.weights")
            classes = list(weights) if isinstance(weights, dict) else self._texts(f"{key}.classes")
            if not {"face", "all"}.issuperset(classes):
                raise unsupported(f"{key}:{kind}", _NO_OBJECTS)
            return Gravity(kind="faces")
        x, y = self._number(f"{key}.x_offset", 0.0), self._number(f"{key}.y_offset", 0.0)
        return Gravity.model_validate({"kind": kind, "x": x, "y": y})

    def _background(self) -> str | None:
        color, share = self._get("background", str), self._get("background_alpha", float)
        if color is None or share is None:
            return color
        return f"{color}{round(share * 255):02x}"

    def _filters(self) -> list[NamedStep]:
        return [NamedStep(algorithm=planned.name, params=_plain(planned)) for planned in self._filter_steps()]

    def _filter_steps(self) -> Sequence[PlannedStep]:
        steps = [made for key, lower in _FILTERS if key in self._options for made in lower(self._number(key, 0.0))]
        if self._get("unsharp_masking.mode", str) == "always":
            weight = self._number("unsharp_masking.weight", 1.0)
            steps.append(step("sharpen", {"radius": 1.0, "amount": min(1000.0, weight * 100)}))
        steps += self._duotone()
        for name in ("monochrome", "colorize", "gradient"):
            steps += self._colored(name)
        steps += self._areas()
        if (space := self._get("color_profile", str)) is not None:
            if space not in ("srgb", "cmyk", "p3"):
                raise unsupported("color_profile", sentence("only srgb, p3 and cmyk"))
            steps.append(step("to_colorspace", {"space": space}))
        return steps

    def _duotone(self) -> Sequence[PlannedStep]:
        intensity = self._number("duotone.intensity", 0.0)
        if not intensity:
            return ()
        if intensity < 1:
            raise unsupported("duotone", sentence("only an intensity of 1"))
        shadows, highlights = self._get("duotone.color1", str), self._get("duotone.color2", str)
        return (step("duotone", {"shadows": shadows or "#000000", "highlights": highlights or "#ffffff"}),)

    def _colored(self, name: str) -> Sequence[PlannedStep]:
        share_key = "intensity" if name == "monochrome" else "opacity"
        amount = self._number(f"{name}.{share_key}", 0.0) * 100
        if not amount:
            return ()
        params: dict[str, object] = {"amount": amount}
        if color := self._get(f"{name}.color", str):
            params["color"] = color
        if name == "gradient":
            params["direction"] = _direction(self._get("gradient.direction", str) or "down")
            params["start"] = self._number("gradient.start", 0.0) * 100
            params["stop"] = self._number("gradient.stop", 1.0) * 100
        return (step(name, params),)

    def _areas(self) -> Sequence[PlannedStep]:
        steps = list[PlannedStep]()
        if not {"face", "all"}.issuperset(self._texts("blur_detections.classes")):
            raise unsupported("blur_detections", _NO_OBJECTS)
        if "blur_detections.sigma" in self._options:
            steps.append(step("blur_faces"))
        areas = self._options.get("blur_areas.areas")
        sigma = min(100.0, self._number("blur_areas.sigma", 0.0))
        if isinstance(areas, list) and sigma > 0:
            named = [dict(zip(("left", "top", "width", "height"), area, strict=True)) for area in areas]
            steps.append(step("blur_areas", {"radius": sigma, "areas": named}))
        progressive = min(100.0, self._number("progressive_blur.sigma", 0.0))
        if progressive > 0:
            params: dict[str, object] = {
                "radius": progressive,
                "direction": _direction(self._get("progressive_blur.direction", str) or "down"),
                "start": self._number("progressive_blur.start", 0.0) * 100,
                "stop": self._number("progressive_blur.stop", 1.0) * 100,
            }
            steps.append(step("progressive_blur", params))
        return steps

    def _watermark(self) -> Mark | None:
        opacity = self._number("watermark.opacity", 0.0)
        if not opacity:
            return None
        text, own = self._get("watermark_text", str), self._source("watermark_url")
        mark = own or self._mark
        if text is None and mark is None:
            return None  # as in imgproxy if its settings have no watermark
        rotation = self._number("watermark_rotate", 0.0) % 360
        if text is None and rotation:
            raise unsupported("watermark_rotate", sentence("only a text is rotated"))
        return Mark.model_validate(
            {
                "file_id": None if text is not None or mark is None else self._files.add(mark),
                "text": text or "",
                "opacity": opacity,
                "position": self._get("watermark.position", str) or "ce",
                "x": self._number("watermark.x_offset", 0.0),
                "y": self._number("watermark.y_offset", 0.0),
                "scale": self._number("watermark.scale", 0.0),
                "width": self._get("watermark_size.width", int) or 0,
                "height": self._get("watermark_size.height", int) or 0,
                "rotation": rotation,
            }
        )

    def _encoding(self, *, negotiated: bool) -> Encoding:
        name = self._get("format", str)
        if name is not None and name not in (*WRITTEN, "best"):
            raise unsupported(
                "format",
                sentence("{format} is not written; there are: {names}", format=name.upper(), names=", ".join(WRITTEN)),
            )
        metadata = "copyright" if self._options.get("keep_copyright", True) else "strip"
        params: dict[str, object] = {
            "format": {None: "source", "best": "auto"}.get(name, name),
            "metadata": metadata if self._options.get("strip_metadata", True) else "keep",
            "profile": "strip" if self._options.get("strip_color_profile", True) else "keep",
        }
        if most := self._get("max_bytes", int):
            params["max_bytes"] = most
        if quality := self._get("quality", int):
            params["quality"] = quality
        params |= self._searched()
        output = Output.model_validate(params)
        return Encoding.by_url(
            output,
            chosen_by_client=negotiated,
            qualities=self._qualities(),
            lossy_alone=True,
            by_format=self._by_format(),
            compared=PREFERRED if name == "best" else (),
        )

    def _by_format(self) -> Mapping[str, Mapping[str, object]]:
        """Return the options of single formats, without those that have their default."""
        jpeg, png, webp, avif = (dict[str, object]() for _ in range(4))
        if self._is("jpeg.progressive"):
            jpeg["progressive"] = True
        if self._is("jpeg.no_subsample"):
            jpeg["subsampling"] = "4:4:4"
        if self._is("png.interlaced"):
            png["progressive"] = True
        if self._is("png.quantize"):
            png |= {"palette": True, "colors": min(256, max(2, self._get("png.quantization_colors", int) or 256))}
        if self._get("webp.compression", str) == "lossless":
            webp["lossless"] = True
        if subsampling := {"on": "4:2:0", "off": "4:4:4"}.get(self._get("avif.subsample", str) or ""):
            avif["subsampling"] = subsampling
        options = {"jpeg": jpeg, "png": png, "webp": webp, "avif": avif}
        return {name: own for name, own in options.items() if own}

    def _searched(self) -> dict[str, object]:
        most = self._get("autoquality.max", int)
        params: dict[str, object] = {"quality": most} if most else {}
        match self._get("autoquality.method", str):
            case "size":
                return params | {"max_bytes": max(1, int(self._number("autoquality.target", 0.0)))}
            case "dssim":
                # imgproxy's target is the structural dissimilarity, (1 - SSIM) / 2.
                least = 1 - 2 * self._number("autoquality.target", 0.02)
                return params | {"min_ssim": max(0.5, min(0.999, least))}
            case "ml":
                raise unsupported("autoquality", sentence("there is no method `ml`; there are `size` and `dssim`"))
        return {}

    def _qualities(self) -> tuple[tuple[str, int], ...]:
        own = {name: self._get(f"format_quality.{name}", int) or dict(QUALITIES).get(name) for name in WRITTEN}
        return tuple((name, quality) for name, quality in own.items() if quality)


def _plain(planned: PlannedStep) -> dict[str, object]:
    # Not `exclude_defaults`: params of which one must be given would not be valid without one that has its default.
    return planned.params.model_dump(mode="json", exclude_unset=True)


def _direction(text: str) -> float:
    """Return the direction in degrees: 0 is down, 90 is to the left, as imgproxy counts."""
    words = {"down": 0.0, "left": 90.0, "up": 180.0, "right": 270.0}
    try:
        return words[text] if text in words else float(text) % 360
    except ValueError as error:
        raise bad_option(
            "direction", sentence("'{text}' is neither an angle nor up, down, left or right", text=text)
        ) from error


def _saturation(factor: float) -> Sequence[PlannedStep]:
    steps = list[PlannedStep]()
    while factor > 2:  # a step can double it at most
        steps.append(step("saturation", {"amount": 100.0}))
        factor /= 2
    return [*steps, step("saturation", {"amount": (factor - 1) * 100})] if factor != 1 else steps


def _contrast(factor: float) -> Sequence[PlannedStep]:
    if factor == 1:
        return ()
    if factor <= 2:
        return (step("contrast", {"amount": (factor - 1) * 100}),)
    reach = 127.5 / factor
    return (step("levels", {"black": 127.5 - reach, "white": 127.5 + reach}),)


def _if_positive(name: str, params: Callable[[float], dict[str, object]]) -> Callable[[float], Sequence[PlannedStep]]:
    return lambda value: (step(name, params(value)),) if value > 0 else ()


_FILTERS: Sequence[tuple[str, Callable[[float], Sequence[PlannedStep]]]] = (
    (
        "brightness",
        lambda value: (step("brightness", {"amount": max(-100.0, min(100.0, value / 2.55))}),) if value else (),
    ),
    ("contrast", _contrast),
    ("saturation", _saturation),
    ("blur", _if_positive("blur", lambda sigma: {"radius": min(100.0, sigma)})),
    ("sharpen", _if_positive("sharpen", lambda sigma: {"radius": min(50.0, sigma)})),
    ("pixelate", lambda size: (step("pixelate", {"size": min(1000, int(size))}),) if size > 1 else ()),
)
