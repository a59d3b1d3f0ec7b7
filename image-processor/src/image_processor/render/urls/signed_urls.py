"""Makes signed URLs for web pages: a single one, a ``srcset``, and the sources of a ``<picture>``."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import MAX_ID
from service_kit.errors import DomainError, FieldError, RuleError
from service_kit.json_types import WHOLE_NUMBER
from service_kit.texts import counted, sentence

from image_processor.imaging.output import Output
from image_processor.render.config import NativeUrlSettings
from image_processor.render.dialects import native
from image_processor.render.signing import NativeSigner
from image_processor.render.urls.reading import MAX_TARGET_BYTES
from image_processor.services.codec.plan import PIPELINE, Plan, plan_of

Format = Literal["jpeg", "png", "webp", "avif", "gif"]
MAX_SIDE = 16_384
Id = Annotated[int, Field(ge=1, le=MAX_ID), WHOLE_NUMBER]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE), WHOLE_NUMBER]
ENCODE_ONLY: Mapping[str, object] = {"algorithm": "auto_orient"}
"""The step of a pipeline that only has an ``output``; without effect, as every pipeline orients its source anyway."""
MAX_VARIANTS = 20
MAX_SECONDS = 10 * 365 * 86_400
MAX_URL_BYTES = MAX_TARGET_BYTES - 32
"""The most bytes of a URL after the host: nginx reads it, the method and the version into `MAX_TARGET_BYTES`."""


class UrlRequest(BaseModel):
    """The URLs to create."""

    model_config = ConfigDict(extra="forbid")

    file_id: Id
    preset: str | None = Field(None, max_length=64)
    steps: list[object] | None = Field(None, max_length=20)
    output: dict[str, object] | None = None
    width: Side | None = None
    height: Side | None = None
    widths: list[Side] = Field([], max_length=MAX_VARIANTS)
    dprs: list[Annotated[float, Field(ge=1, le=8)]] = Field([], max_length=MAX_VARIANTS)
    format: Format | Literal["auto"] | None = None
    formats: list[Format] = Field([], max_length=5)
    quality: Annotated[int, Field(ge=1, le=100), WHOLE_NUMBER] | None = None
    expires_in: Annotated[int, Field(ge=1, le=MAX_SECONDS), WHOLE_NUMBER] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.preset is not None and self.steps is not None:
            raise RuleError("preset_or_steps", sentence("give a preset or steps, not both"))
        if self.preset is not None and self.output is not None:
            raise RuleError("preset_alone", sentence("a preset has its own output and source"))
        if self.widths and self.dprs:
            raise RuleError("widths_or_dprs", sentence("give widths or dprs, not both"))
        if self.dprs and self.width is None and self.height is None:
            raise RuleError("dprs_alone", sentence("dprs need a width or a height to multiply"))
        return self


class SourceOut(BaseModel):
    """A ``<source>`` of a ``<picture>``."""

    type: str = Field(description="The media type, such as `image/webp`.")
    srcset: str


class UrlsOut(BaseModel):
    """Signed URLs of an image."""

    url: str
    srcset: str | None = Field(None, description="For an `<img>`; only if `widths` or `dprs` are given.")
    sources: list[SourceOut] | None = Field(None, description="For a `<picture>`; only if `formats` are given.")
    expires_at: int | None = Field(description="The Unix time at which the URLs expire; `null` if they do not expire.")


def check_gives_image(planned: Plan, pointer: str) -> None:
    """Check that a pipeline gives an image, which is all that a URL can give.

    :param pointer: where the request names the pipeline.
    :raises DomainError: ``invalid-fields``.
    """
    if not isinstance(planned.encoding, Output) or any(not algorithm.changes_image for algorithm, _ in planned.steps):
        raise _invalid(pointer, sentence("a URL gives an image, and no analysis or tiles"), "no_image")


def _check_sides(wanted: UrlRequest) -> None:
    longest = max(wanted.width or 0, wanted.height or 0)
    for index, dpr in enumerate(wanted.dprs):
        if round(longest * dpr) > MAX_SIDE:
            raise _invalid(f"/dprs/{index}", sentence("a side is 1 to 16384 pixels"), "side_too_large")


def _invalid(pointer: str, detail: str, code: str) -> DomainError:
    return DomainError("invalid-fields", detail, [FieldError(pointer=pointer, detail=detail, code=code)])


class UrlMaker:
    """Makes URLs; the keys never leave the server."""

    def __init__(self, settings: NativeUrlSettings) -> None:
        self._settings = settings

    def make(self, wanted: UrlRequest, base: str, now: int, preset_owner: str = LOCAL_OWNER) -> UrlsOut:
        """Return the URL, with the ``srcset`` and the ``<picture>`` sources that the request asks for.

        :param base: scheme and host of the URLs.
        :param now: seconds since 1970.
        :param preset_owner: the owner of the preset; the caller has checked that it exists.
        :raises DomainError: ``no-render-key``, the settings have no key; otherwise the steps are invalid, too long for
            a URL, or give no image, or a side times a density is too large.
        """
        if not self._settings.keys:
            detail = sentence("native.keys in config/render/conf.yml has no key to sign with.")
            raise DomainError("no-render-key", detail)
        _check_sides(wanted)
        expires = now + wanted.expires_in if wanted.expires_in is not None else None
        options = self._options(wanted, expires, preset_owner)
        return UrlsOut(
            url=self._url(wanted, options, base),
            srcset=self._srcset(wanted, options, base) or None,
            sources=[self._source(wanted, options, base, name) for name in wanted.formats] or None,
            expires_at=expires,
        )

    def _options(self, wanted: UrlRequest, expires: int | None, preset_owner: str) -> dict[str, str]:
        given: dict[str, object] = {
            "exp": expires,
            "p": wanted.preset,
            "o": preset_owner if wanted.preset is not None and preset_owner != LOCAL_OWNER else None,
            "w": wanted.width,
            "h": wanted.height,
            "f": wanted.format,
            "q": wanted.quality,
        }
        if wanted.steps is not None or wanted.output is not None:
            pipeline = {"steps": wanted.steps or [ENCODE_ONLY], **({"output": wanted.output} if wanted.output else {})}
            # Report errors now rather than when somebody opens the URL.
            check_gives_image(plan_of(PIPELINE, pipeline), "/steps")
            text = json.dumps(pipeline, separators=(",", ":"), ensure_ascii=False)
            given["j"] = urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return {name: str(value) for name, value in given.items() if value is not None}

    def _source(self, wanted: UrlRequest, options: Mapping[str, str], base: str, name: str) -> SourceOut:
        chosen = {**options, "f": name}
        srcset = self._srcset(wanted, chosen, base) or self._url(wanted, chosen, base)
        return SourceOut(type=f"image/{name}", srcset=srcset)

    def _srcset(self, wanted: UrlRequest, options: Mapping[str, str], base: str) -> str:
        variants = [(f"{width}w", {**options, "w": str(width)}) for width in wanted.widths]
        for dpr in wanted.dprs:
            sides = {name: str(round(int(options[name]) * dpr)) for name in ("w", "h") if name in options}
            variants.append((f"{dpr:g}x", {**options, **sides}))
        return ", ".join(f"{self._url(wanted, chosen, base)} {name}" for name, chosen in variants)

    def _url(self, wanted: UrlRequest, options: Mapping[str, str], base: str) -> str:
        path = native.path_of(str(wanted.file_id), options)
        signature = NativeSigner(self._settings.secrets).sign(path)
        target = f"{self._settings.path}{signature}/{path.decode()}"
        if len(target.encode()) > MAX_URL_BYTES:
            detail = counted(
                "a URL has at most {limit:,} byte after the host; store the steps as a preset",
                "a URL has at most {limit:,} bytes after the host; store the steps as a preset",
                "limit",
                limit=MAX_URL_BYTES,
            )
            raise _invalid("/steps" if wanted.steps is not None else "/output", detail, "url_too_long")
        return base + target
