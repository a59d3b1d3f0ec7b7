"""The plan of a render, into which every dialect parses its URLs.

A step whose numbers depend on the size of the source is a :mod:`deferred step <image_processor.render.plans.deferred>`,
so that the plan, and the key of its result, are known before the source is read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from image_processor.algorithms.registry import Params
from image_processor.imaging.output import ANIMATED, COMPARED, QUICKEST, STILL, Output
from image_processor.imaging.source import Source
from image_processor.render.plans.deferred import PlannedStep, resolved
from image_processor.render.plans.negotiation import BEST_FIRST
from image_processor.services.codec.plan import Plan

FORM = 3
"""The version of the form of :meth:`RenderPlan.canonical`; raise it after a change, so that no old result is used."""

AVIF_EFFORT = 1
"""Less than the default of a task: a client waits, and more effort takes several times as long."""

Content = Literal["image", "original", "thumbor meta", "imagor meta", "reports"]
"""The content of the response: the image; the unchanged source; or as JSON, the peer's facts or the steps' reports."""


@dataclass(frozen=True)
class FileSource:
    """A stored file."""

    file_id: int


@dataclass(frozen=True)
class DigestSource:
    """A stored file, by the SHA-256 of its bytes in hexadecimal digits."""

    sha256: str


@dataclass(frozen=True)
class OriginSource:
    """A file of another server, by its ``http`` or ``https`` URL."""

    url: str


@dataclass(frozen=True)
class ColorSource:
    """An area of one color, without a file."""

    color: str


PlanSource = FileSource | DigestSource | OriginSource | ColorSource


_LOSSLESS = ("png", "gif", "tiff")
_FORMATS = (*STILL, *ANIMATED)


@dataclass(frozen=True)
class Encoding:
    """How the result is encoded.

    :param output: as an algorithm's ``output``; its format is ``source`` by default.
    :param negotiated: whether the client's Accept header may choose AVIF or WebP.
    :param qualities: the dialect's quality by format, if the URL names none.
    :param lossy_alone: whether quality and size limit apply to JPEG, WebP and AVIF only, as in the peers, and the
        quality also to images with a palette; if no quality meets the limit, the image is sent nevertheless.
    :param by_format: parts of the output that apply to one format only, by its name.
    :param compared: formats of which, and of those that the client accepts, the smallest file is sent.
    """

    output: Output
    negotiated: bool = False
    qualities: tuple[tuple[str, int], ...] = ()
    lossy_alone: bool = False
    by_format: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    compared: tuple[str, ...] = ()

    @classmethod
    def by_url(
        cls,
        output: Output,
        *,
        chosen_by_client: bool,
        qualities: tuple[tuple[str, int], ...] = (),
        lossy_alone: bool = False,
        by_format: Mapping[str, Mapping[str, object]] | None = None,
        compared: tuple[str, ...] = (),
    ) -> "Encoding":
        """Return the encoding of an image by URL, which clients that show different formats request.

        The format `auto` is therefore the best one that the client accepts, not the smallest one of all, unless
        formats are compared.

        :param chosen_by_client: whether the client chooses the format if the URL names none.
        """
        negotiated = output.format == "auto" or (chosen_by_client and output.format == "source")
        parts = dict(by_format or {})
        if output.format == "auto":
            # Nor may a limit that PNG, for example, cannot meet refuse the image to such a client.
            lossy_alone = lossy_alone or output.max_bytes is not None or output.min_ssim is not None
            output = output.model_copy(update={"format": "source"})
            if output.lossless:
                # A client that accepts neither gets the format of the source, which may have no lossless form.
                output = output.model_copy(update={"lossless": False})
                parts = {name: {"lossless": True, **parts.get(name, {})} for name in BEST_FIRST}
        return cls(output, negotiated, qualities, lossy_alone, parts, compared)

    def in_format(self, format_name: str) -> Output:
        """Return the output in a format: that of the URL or the source, or a negotiated one, or the codec's choice."""
        quality = self.output.quality or dict(self.qualities).get(format_name)
        update = {"format": format_name, **self.by_format.get(format_name, {})}
        has_palette = update.get("palette", self.output.palette)
        if self.lossy_alone and format_name in _LOSSLESS:
            update |= {"quality": quality if has_palette else None, "max_bytes": None, "min_ssim": None}
        else:
            update["quality"] = quality
        if self.output.effort is None:
            update["effort"] = AVIF_EFFORT if format_name == "avif" else QUICKEST
        return self.output.model_copy(update=update)

    def without_limit(self) -> "Encoding | None":
        """Return the encoding to use if no quality meets the limit; ``None`` if that is an error.

        It gives the smallest file for a limit of bytes, that of the highest quality for an SSIM, and that of the usual
        quality if there are both.
        """
        output = self.output
        if not self.lossy_alone or (output.max_bytes is None and output.min_ssim is None):
            return None
        quality = output.quality
        if output.max_bytes is None:
            quality = quality or 100
        elif output.min_ssim is None:
            quality = 1
        unlimited = {"max_bytes": None, "min_ssim": None, "quality": quality}
        return replace(self, output=output.model_copy(update=unlimited))


@dataclass(frozen=True)
class Bounds:
    """Limits of this request, below those of the server; ``None`` for the server's limit."""

    source_pixels: int | None = None
    source_bytes: int | None = None
    frame_pixels: int | None = None


@dataclass(frozen=True)
class Wishes:
    """The URL's options for the response, which change no pixel.

    :param fallback: the source to send instead of an error.
    :param max_age: seconds that caches may keep the response; 0 if they must not keep it.
    :param expires: seconds since 1970 after which the URL is refused; 0 for never.
    :param preset_until: the monotonic time until which the remembered preset is used; ``None`` if the URL names no
        preset, and therefore always gives the same image.
    """

    file_name: str = ""
    attachment: bool = False
    fallback: PlanSource | None = None
    max_age: int | None = None
    expires: int = 0
    preset_until: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class NamedFilter:
    """A filter in a URL of imagor, for the report of `meta`.

    :param done: whether it has an effect; ``False`` if its arguments do not fit.
    """

    name: str
    args: str
    done: bool


@dataclass(frozen=True)
class RenderPlan:
    """The plan of a render.

    :param steps: steps of the catalog and deferred steps.
    :param files: the other files, with the ids by which the steps name them.
    :param formats_as_they_are: formats of sources that are sent unchanged, unless another format is requested.
    :param ignored: parts of the URL without effect, which a response header lists.
    :param source_name: the source as the URL names it, if the response contains it.
    :param filters: the filters that the URL names, if the response contains them.
    :param accepts_still: whether the first frame is enough if the others cannot be read and the URL asks for no number
        of frames: a page that shows a file by its URL does not know whether Pixmill reads all its frames.
    :param max_side: of a preview, the longest side of its image; ``None`` for all other renders.
    """

    source: PlanSource
    steps: tuple[PlannedStep, ...]
    encoding: Encoding
    reading: Source = field(default_factory=Source)
    files: tuple[tuple[int, PlanSource], ...] = ()
    answer: Content = "image"
    formats_as_they_are: tuple[str, ...] = ()
    bounds: Bounds = Bounds()
    wishes: Wishes = Wishes()
    ignored: tuple[str, ...] = ()
    source_name: str = ""
    filters: tuple[NamedFilter, ...] = ()
    accepts_still: bool = True
    max_side: int | None = None

    @property
    def negotiated(self) -> bool:
        """Whether the client's Accept header may change the response; JSON and the unchanged source have one form."""
        return self.encoding.negotiated and self.answer == "image"

    def of(self, source: PlanSource, wishes: Wishes) -> "RenderPlan":
        """Return the same plan for another source and with other wishes."""
        plan = replace(self, source=source, wishes=wishes)
        if not isinstance(source, ColorSource) and not isinstance(self.source, ColorSource):
            # The digest does not depend on the source or the wishes.
            vars(plan)["_digest"] = self._digest
        return plan

    def canonical(self) -> bytes:
        """Return everything that the pixels depend on, except the bytes of the files, in an unambiguous form."""
        parts = {
            "form": FORM,
            "reading": _dumped(self.reading),
            "steps": [[step.name, _dumped(step.params)] for step in self.steps],
            "output": _dumped(self.encoding.output),
            "negotiated": self.negotiated,
            "qualities": sorted(self.encoding.qualities),
            "lossy alone": self.encoding.lossy_alone,
            "answer": self.answer,
            "as they are": sorted(self.formats_as_they_are),
            "bounds": [
                self.bounds.source_pixels,
                self.bounds.source_bytes,
                self.bounds.frame_pixels,
            ],
            "color": self.source.color if isinstance(self.source, ColorSource) else None,
        }
        if self.encoding.by_format:
            parts["by format"] = self.encoding.by_format
        if self.encoding.compared:
            parts["compared"] = self.encoding.compared
        if self.source_name:
            parts["source name"] = self.source_name
        if not self.accepts_still:
            parts["accepts still"] = False
        if self.max_side is not None:
            parts["max side"] = self.max_side
        if self.filters:
            parts["filters"] = [[filter_.name, filter_.args, filter_.done] for filter_ in self.filters]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        # A URL may name a source by bytes that are not UTF-8.
        return text.encode(errors="surrogatepass")

    def digest(self) -> str:
        """Return the SHA-256 of :meth:`canonical` in hexadecimal digits."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        # Cached, because plans are remembered and each request needs the digest.
        return hashlib.sha256(self.canonical()).hexdigest()

    def key(self, source_sha256: str, files: Mapping[int, str], format_name: str, engine: str) -> str:
        """Return the key of the result, which is its strong ETag, without reading a file.

        :param files: the SHA-256 of the other files by their ids in the steps.
        :param format_name: as that of :class:`~image_processor.render.processes.job.Job`.
        """
        named = [files[number] for number, _ in self.files]
        parts = [self.digest(), source_sha256, *named, format_name, engine]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def for_codec(self, format_name: str = "source") -> Plan:
        """Return the plan that :func:`process_image` runs.

        :param format_name: the format of the result; ``source`` or ``auto`` if the codec chooses it; several, joined
            by commas, for the smallest of them.
        """
        steps, encoding = [step.resolved() for step in self.steps], self.encoding
        accepts_still = self.accepts_still and self.reading.frames is None
        if format_name in _FORMATS:
            return Plan(steps, encoding.in_format(format_name), self.reading, accepts_still=accepts_still)
        compared = format_name.split(",")
        chosen, formats = ("auto", compared) if len(compared) > 1 else (format_name, COMPARED)
        output = encoding.output.model_copy(update={"format": chosen})
        by_format = {name: encoding.in_format(name) for name in _FORMATS}
        return Plan(steps, output, self.reading, by_format, formats, accepts_still)


def step(algorithm: str, params: Mapping[str, object] | None = None) -> PlannedStep:
    """Return a step of the catalog with validated params."""
    return PlannedStep(algorithm, resolved(algorithm).params.model_validate(params or {}))


def _dumped(params: Params) -> dict[str, object]:
    return params.model_dump(mode="json", exclude_defaults=True)
