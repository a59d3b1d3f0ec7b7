"""Collects the reports of analyses of an image in one JSON object, without a task or a stored result."""

import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field
from service_kit.errors import FieldError
from service_kit.field_errors import summary_of
from service_kit.languages import ENGLISH, Language, translated
from service_kit.problems import Problem
from service_kit.texts import restored, sentence
from starlette.datastructures import QueryParams

from image_processor.algorithms.dominant_colors import DominantColor
from image_processor.algorithms.exif import ExifReport
from image_processor.algorithms.histogram import HistogramReport
from image_processor.algorithms.info import InfoReport
from image_processor.imaging.output import Output
from image_processor.imaging.source import Source
from image_processor.render.plans.plan import Encoding, PlanSource, RenderPlan, step

PARTS = {
    "info": "info",
    "exif": "exif",
    "histogram": "histogram",
    "colors": "dominant_colors",
    "blurhash": "blurhash",
}
"""The algorithm that reports each part."""
OF_HEADER = ("info", "exif")
"""Parts that need no decoded pixels."""


class MetadataOut(BaseModel):
    """The metadata of an image; only the requested parts."""

    info: InfoReport | None = Field(None, description="Format, size, depth, frames, pages, profile.")
    exif: ExifReport | None = Field(None, description="The EXIF tags, named as by the algorithm `exif`.")
    histogram: HistogramReport | None = Field(None, description="The tones of the upright image's first frame.")
    colors: list[DominantColor] | None = Field(None, description="At most five colors, the most frequent first.")
    blurhash: str | None = Field(None, description="A placeholder of 4 × 3 waves.")
    unavailable: dict[str, str] | None = Field(
        None, description="Why a requested part is missing, by its name; present only if one is missing."
    )


def parts_of(query: QueryParams) -> Sequence[str]:
    """Return the parts that a query asks for, without duplicates; all parts if it names none.

    :raises Problem: 422, a part or a parameter is unknown.
    """
    unknown = sorted(set(query.keys()) - {"parts"})
    if unknown:
        raise _wrong(
            f"/{unknown[0][:64]}",
            "extra_forbidden",
            sentence("Unknown field; the fields are: {fields}", fields="parts"),
        )
    given = query.getlist("parts")
    if not given:
        return list(PARTS)
    named = {name for text in given for name in text.split(",")}
    wrong = sorted(named - set(PARTS))
    if wrong:
        detail = sentence("There is no part '{name}'; there are: {names}.", name=wrong[0][:64], names=", ".join(PARTS))
        raise _wrong("/parts", "no_part", detail)
    return [name for name in PARTS if name in named]


def metadata_plan(source: PlanSource, parts: Sequence[str]) -> RenderPlan:
    """Return the plan of the parts.

    There are only two such plans, so that an image's pixels are analyzed once for all selections of parts.
    """
    wanted = OF_HEADER if set(parts) <= set(OF_HEADER) else tuple(PARTS)
    return RenderPlan(
        source=source,
        steps=tuple(step(PARTS[name]) for name in wanted),
        encoding=Encoding(Output()),
        reading=Source(frames=1),
        answer="reports",
    )


def chosen(reports: bytes, parts: Sequence[str], language: Language = ENGLISH) -> bytes:
    """Return these parts of a plan's result, as JSON, with the reasons for missing parts in this language."""
    found = json.loads(reports)
    unavailable = found.get("unavailable", {})
    answer = {name: _flat(name, found[PARTS[name]]) for name in parts if PARTS[name] in found}
    reasons = {name: _said(unavailable[PARTS[name]], language) for name in parts if PARTS[name] in unavailable}
    if reasons:
        answer["unavailable"] = reasons
    return json.dumps(answer, ensure_ascii=False).encode()


def _said(reason: str | Mapping[str, object], language: Language) -> str:
    # Earlier results in the cache have the English sentence.
    return translated(reason if isinstance(reason, str) else restored(reason), language)


def _flat(name: str, report: dict[str, object]) -> object:
    """Return a report, or its value if only one value is of interest."""
    return report[name] if name in ("colors", "blurhash") else report


def _wrong(pointer: str, code: str, detail: str) -> Problem:
    errors = [FieldError(pointer=pointer, detail=detail, code=code)]
    return Problem("invalid-fields", 422, summary_of(errors), errors)
