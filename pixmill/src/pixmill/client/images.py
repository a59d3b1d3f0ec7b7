"""Operations on images rendered without a task: by URL, as thumbnails and as previews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pixmill.client.answers import ImageUrls
from pixmill.client.exchange import Call, Exchange, Operation, get, json_call
from pixmill.client.tasks import TASKS
from pixmill.steps import Chain, pipeline_of

if TYPE_CHECKING:
    # Import it for type checks only: its hundred dataclasses make the import of this library a tenth slower.
    from pixmill.params import Output, Source

THUMBNAIL = 256
PREVIEW_SIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """The options of an image by URL. Without options: the file in a format that the browser accepts.

    :param preset: the name of a preset on the server, instead of ``steps``.
    :param steps: from :mod:`pixmill.params`.
    :param width: the maximum width in pixels; the image is scaled down to fit and never enlarged.
    :param widths: the widths of a ``srcset``.
    :param dprs: the pixel densities of a ``srcset``, which multiply ``width`` and ``height``; instead of ``widths``.
    :param format: such as ``webp``; ``auto`` chooses what the browser accepts.
    :param formats: the formats of the sources of a ``<picture>``.
    :param quality: 1 to 100.
    :param expires: how long URLs are valid; by default forever.
    :raises ValueError: there are both steps and a preset, both ``widths`` and ``dprs``, or ``dprs`` without a side.
    """

    preset: str | None = None
    steps: Chain | None = None
    output: "Output | None" = None
    width: int | None = None
    height: int | None = None
    widths: Sequence[int] = ()
    dprs: Sequence[float] = ()
    format: str | None = None
    formats: Sequence[str] = ()
    quality: int | None = None
    expires: timedelta | None = None

    def __post_init__(self) -> None:
        if self.preset is not None and (self.steps is not None or self.output is not None):
            raise ValueError("a preset has its own steps and output")
        if self.widths and self.dprs:
            raise ValueError("give widths or dprs, not both")
        if self.dprs and self.width is None and self.height is None:
            raise ValueError("dprs need a width or a height to multiply")

    def pipeline(self) -> dict[str, object]:
        """Return ``steps`` and ``output`` in the API's format; empty if neither is set."""
        if self.steps is None and self.output is None:
            return {}
        # A pipeline needs a step, and this one changes nothing: pipelines always orient the source upright.
        what = {"steps": [{"algorithm": "auto_orient"}]} if self.steps is None else self.steps
        return pipeline_of(what, self.output, None)

    def as_json(self) -> dict[str, object]:
        """Return the request body for the API."""
        given = {
            "preset": self.preset,
            "width": self.width,
            "height": self.height,
            "widths": list(self.widths) or None,
            "dprs": list(self.dprs) or None,
            "format": self.format,
            "formats": list(self.formats) or None,
            "quality": self.quality,
            "expires_in": None if self.expires is None else int(self.expires.total_seconds()),
        }
        return {name: value for name, value in given.items() if value is not None} | self.pipeline()


class ImageOperations:
    """The operations on images without a task."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def urls(self, file_id: int, rendition: Rendition) -> Operation[ImageUrls]:
        body = {"file_id": file_id, **rendition.as_json()}
        reply = yield from self._exchange.send(json_call("POST", f"{TASKS}/render-urls", body, repeatable=True))
        return ImageUrls.of(reply.json())

    def thumbnail(self, file_id: int, size: int) -> Operation[bytes]:
        return (yield from self._exchange.send(get(f"{TASKS}/thumbnails/{file_id}/{size}"))).body

    def preview(self, body: Mapping[str, object]) -> Operation[bytes]:
        # Nothing is stored, so a retry is harmless.
        return (yield from self._exchange.send(json_call("POST", f"{TASKS}/preview", body, repeatable=True))).body

    def forget(self, file_id: int) -> Operation[None]:
        yield from self._exchange.send(Call("DELETE", f"{TASKS}/renders/{file_id}", repeatable=True))


def preview_of(
    file_id: int, what: Chain | str, output: "Output | None", source: "Source | None", max_side: int
) -> dict[str, object]:
    """Return the body of a request for a preview.

    :param what: steps, or the name of a preset.
    """
    wanted = {"preset": what} if isinstance(what, str) else pipeline_of(what, output, source)
    return {"file_id": file_id, "max_side": max_side, **wanted}
