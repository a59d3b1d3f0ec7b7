"""What a URL asks for: the plan of a render, the same for every dialect.

A plan is symbolic: a step whose numbers follow from the size of the source is a :mod:`deferred step
<image_processor.render.deferred>`, so that the plan, and the key of its result, are known before the source is read.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from image_processor.algorithms.registry import Params
from image_processor.imaging.output import QUICKEST, Output
from image_processor.imaging.source import Source as Reading
from image_processor.render.deferred import Step, resolved
from image_processor.services.codec.plan import Plan

FORM = 2
"""Changes with the form of :meth:`RenderPlan.canonical`, so that older results are not taken for newer ones."""

AVIF_EFFORT = 1
"""Less than the default of a task: somebody waits for the answer, and more effort takes several times as long."""

Answer = Literal["image", "original", "thumbor meta", "imagor meta", "reports"]
"""What is sent: the image; the source as it is; or, as JSON, what the peer says about the image or the steps report."""


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
    """A file of another server, as ``http`` or ``https`` URL."""

    url: str


@dataclass(frozen=True)
class ColorSource:
    """No file, but an area of one color."""

    color: str


Source = FileSource | DigestSource | OriginSource | ColorSource


_LOSSLESS = ("png", "gif", "tiff")


@dataclass(frozen=True)
class Encoding:
    """How the result is encoded.

    :param output: as an algorithm's ``output``; its format is ``source`` if nothing else is said.
    :param negotiated: whether the client's Accept header may choose AVIF or WebP.
    :param qualities: the dialect's quality by format, where the URL names none.
    :param lossy_alone: whether quality and size limit are of JPEG, WebP and AVIF alone, as with the peers: a PNG
        stays as it is, unless it has a palette.
    """

    output: Output
    negotiated: bool = False
    qualities: tuple[tuple[str, int], ...] = ()
    lossy_alone: bool = False

    def in_format(self, format_name: str) -> Output:
        """Return the output for the format that was chosen: that of the source, or by the client's wishes."""
        quality = self.output.quality or dict(self.qualities).get(format_name)
        update: dict[str, object] = {"quality": quality}
        if self.lossy_alone and format_name in _LOSSLESS:
            update = {"quality": quality if self.output.palette else None, "max_bytes": None}
        if self.output.effort is None:
            update["effort"] = AVIF_EFFORT if "avif" in (self.output.format, format_name) else QUICKEST
        if self.output.format == "source":
            update["format"] = format_name
        return self.output.model_copy(update=update)


@dataclass(frozen=True)
class Bounds:
    """Limits of this request alone, below those of the server; ``None``: the server's."""

    source_pixels: int | None = None
    source_bytes: int | None = None
    frames: int | None = None
    frame_pixels: int | None = None


@dataclass(frozen=True)
class Wishes:
    """What the URL says about the response, which changes no pixel.

    :param fallback: what is sent instead of an error.
    :param max_age: seconds that caches may keep the response; 0: not at all.
    :param expires: seconds since 1970 after which the URL is refused; 0: never.
    :param preset_until: until when, by the monotonic clock, the preset that the URL names is taken for this one;
        ``None``: it names none, so that it always gives the same image.
    """

    file_name: str = ""
    attachment: bool = False
    fallback: Source | None = None
    max_age: int | None = None
    expires: int = 0
    preset_until: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class NamedFilter:
    """A filter that a URL of imagor names, for what `meta` says about it.

    :param done: whether it has an effect; without one, its arguments do not fit.
    """

    name: str
    args: str
    done: bool


@dataclass(frozen=True)
class RenderPlan:
    """A render.

    :param steps: those of the catalog, and deferred ones.
    :param files: the other files that the steps name, by the ids that they name them by.
    :param formats_as_they_are: sources of these formats are sent as they are, unless another format is asked for.
    :param ignored: parts of the URL without effect, for people who look for a mistake.
    :param source_name: the source as the URL names it, if the answer has that.
    :param filters: the filters that the URL names, if the answer has them.
    """

    source: Source
    steps: tuple[Step, ...]
    encoding: Encoding
    reading: Reading = field(default_factory=Reading)
    files: tuple[tuple[int, Source], ...] = ()
    answer: Answer = "image"
    formats_as_they_are: tuple[str, ...] = ()
    bounds: Bounds = Bounds()
    wishes: Wishes = Wishes()
    ignored: tuple[str, ...] = ()
    source_name: str = ""
    filters: tuple[NamedFilter, ...] = ()

    def of(self, source: Source, wishes: Wishes) -> "RenderPlan":
        """Return the same plan for another source, and other wishes."""
        plan = replace(self, source=source, wishes=wishes)
        if not isinstance(source, ColorSource) and not isinstance(self.source, ColorSource):
            # The digest is of what both have.
            vars(plan)["_digest"] = self._digest
        return plan

    def canonical(self) -> bytes:
        """Return what the pixels depend on, except the bytes of the files: equal for URLs with equal results."""
        parts = {
            "form": FORM,
            "reading": _dumped(self.reading),
            "steps": [[step.name, _dumped(step.params)] for step in self.steps],
            "output": _dumped(self.encoding.output),
            "negotiated": self.encoding.negotiated,
            "qualities": sorted(self.encoding.qualities),
            "lossy alone": self.encoding.lossy_alone,
            "answer": self.answer,
            "as they are": sorted(self.formats_as_they_are),
            "bounds": [
                self.bounds.source_pixels,
                self.bounds.source_bytes,
                self.bounds.frames,
                self.bounds.frame_pixels,
            ],
            "color": self.source.color if isinstance(self.source, ColorSource) else None,
        }
        if self.source_name:
            parts["source name"] = self.source_name
        if self.filters:
            parts["filters"] = [[each.name, each.args, each.done] for each in self.filters]
        return json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def digest(self) -> str:
        """Return the SHA-256 of :meth:`canonical` in hexadecimal digits."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        # Plans of URLs are remembered, and each request needs it.
        return hashlib.sha256(self.canonical()).hexdigest()

    def key(self, source_sha256: str, files: Mapping[int, str], format_name: str, engine: str) -> str:
        """Return the key of the result, a strong ETag, before anything is read.

        :param files: SHA-256 of the other files by their ids in the steps.
        :param format_name: the chosen format; of a negotiated one, that which the client gets.
        """
        named = [files[number] for number, _ in self.files]
        parts = [self.digest(), source_sha256, *named, format_name, engine]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def for_codec(self, output: Output | None = None) -> Plan:
        """Return the plan that :func:`process_image` runs.

        :param output: how the result is encoded, if the format was negotiated.
        """
        return Plan([step.resolved() for step in self.steps], output or self.encoding.output, self.reading)


def step(algorithm: str, params: Mapping[str, object] | None = None) -> Step:
    """Return a step of the catalog, its params validated."""
    return Step(algorithm, resolved(algorithm).params.model_validate(params or {}))


def _dumped(params: Params) -> dict[str, object]:
    return params.model_dump(mode="json", exclude_defaults=True)
