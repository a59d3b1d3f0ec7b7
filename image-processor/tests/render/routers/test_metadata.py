"""The metadata of an image: its parts, and the plans that compute them."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy
import pytest
import pyvips
from image_processor.algorithms.info import info
from image_processor.algorithms.registry import NoParams, algorithm
from image_processor.imaging.output import Output, Report
from image_processor.imaging.source import Source
from image_processor.render.config import RenderSettings
from image_processor.render.failures import NOT_RENDERABLE
from image_processor.render.plans.plan import DigestSource
from image_processor.render.processes.job import Job, LocalFile, Made, Refused
from image_processor.render.processes.process import Renderer
from image_processor.render.routers.metadata import PARTS, chosen, metadata_plan, parts_of
from image_processor.services.codec.plan import Plan
from image_processor.services.codec.process import MAX_REPORT_LENGTH, write_reports
from PIL import Image
from service_kit.languages import Language
from service_kit.problems import Problem
from starlette.datastructures import QueryParams

from tests.support.algorithm_runs import LIMITS, report
from tests.support.images import encoded, photo, pixels

SOURCE = DigestSource("0" * 64)


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> Renderer:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    return Renderer(RenderSettings.model_validate(sections))


def metadata(renderer: Renderer, folder: Path, content: bytes, *parts: str) -> Mapping[str, object]:
    answer = rendered(renderer, folder, content, *parts)
    assert isinstance(answer, Made), answer
    assert answer.extension == ".json"
    found: dict[str, object] = json.loads(chosen((folder / "result").read_bytes(), parts or list(PARTS)))
    return found


def rendered(renderer: Renderer, folder: Path, content: bytes, *parts: str) -> Made | Refused:
    (folder / "source").write_bytes(content)
    source = LocalFile(str(folder / "source"), SOURCE.sha256)
    return renderer.answer(
        Job(metadata_plan(SOURCE, parts or list(PARTS)), source, (), "source", str(folder / "result"))
    )


def test_each_part_is_what_its_algorithm_reports(renderer: Renderer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    content = photo(64, 48, format="JPEG", exif=exif)

    found = metadata(renderer, tmp_path, content)

    assert list(found) == ["info", "exif", "histogram", "colors", "blurhash"]
    assert found["info"] == report(content, "info")
    assert found["exif"] == report(content, "exif")
    assert found["histogram"] == report(content, "histogram")
    assert found["colors"] == report(content, "dominant_colors")["colors"]
    assert found["blurhash"] == report(content, "blurhash")["blurhash"]


def test_several_parts_read_the_pixels_of_one_decoding(renderer: Renderer, tmp_path: Path) -> None:
    # A PNG cannot be decoded at a reduced size, so every analysis reads the same pixels.
    content = photo(300, 200)

    found = metadata(renderer, tmp_path, content, "histogram", "colors", "blurhash")

    histogram = found["histogram"]
    assert isinstance(histogram, dict)
    assert histogram["red"]["counts"] == numpy.bincount(pixels(content)[..., 0].ravel(), minlength=256).tolist()
    assert len(str(found["blurhash"])) == 28


def test_only_the_parts_that_were_asked_for_are_in_the_answer(renderer: Renderer, tmp_path: Path) -> None:
    assert list(metadata(renderer, tmp_path, photo(), "colors")) == ["colors"]
    assert list(metadata(renderer, tmp_path, photo(), "info")) == ["info"]


def test_an_animation_of_more_frames_than_a_render_reads_is_described(renderer: Renderer, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), (shade, 0, 0)) for shade in range(250)]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50)

    found = metadata(renderer, tmp_path, content, "info")["info"]

    assert isinstance(found, dict)
    assert (found["frames"], found["height"]) == (250, 10)


def test_a_part_that_does_not_suit_the_image_is_missing_with_the_reason(renderer: Renderer, tmp_path: Path) -> None:
    invisible = encoded(Image.new("RGBA", (20, 10)), "PNG")

    found = metadata(renderer, tmp_path, invisible, "info", "histogram", "colors")

    assert found["colors"] == []
    assert "histogram" not in found
    assert found["unavailable"] == {"histogram": "No pixel of the image is visible."}


def test_the_reason_for_a_missing_part_is_in_the_language_of_the_request(renderer: Renderer, tmp_path: Path) -> None:
    metadata(renderer, tmp_path, encoded(Image.new("RGBA", (20, 10)), "PNG"), "histogram")

    found = json.loads(chosen((tmp_path / "result").read_bytes(), ["histogram"], "ru"))

    assert found == {"unavailable": {"histogram": "На изображении нет ни одного видимого пикселя."}}


@pytest.mark.parametrize(
    ("language", "reason"),
    [("en", "No pixel of the image is visible."), ("ru", "На изображении нет ни одного видимого пикселя.")],
)
def test_a_report_from_before_reasons_were_translated_is_still_read(language: Language, reason: str) -> None:
    kept = b'{"unavailable": {"histogram": "No pixel of the image is visible."}}'

    assert json.loads(chosen(kept, ["histogram"], language)) == {"unavailable": {"histogram": reason}}


def test_the_header_of_an_image_without_its_end_is_described(renderer: Renderer, tmp_path: Path) -> None:
    whole = photo(600, 400, format="JPEG")
    cut = whole[: len(whole) // 2]

    header = metadata(renderer, tmp_path, cut, "info", "exif")
    refused = rendered(renderer, tmp_path, cut, "info", "colors")

    assert header["info"] == report(whole, "info")
    assert isinstance(refused, Refused)
    assert refused.kind == NOT_RENDERABLE


def test_what_is_not_an_image_is_refused(renderer: Renderer, tmp_path: Path) -> None:
    refused = rendered(renderer, tmp_path, b"no image")

    assert isinstance(refused, Refused)
    assert refused.kind == NOT_RENDERABLE
    assert "not an image" in refused.detail


class Long(Report):
    """A report whose length depends on the image."""

    text: str


@algorithm
def long(image: pyvips.Image, params: NoParams) -> Long:
    """Return a report with a letter for each column."""
    return Long(text="x" * image.width)


def test_a_report_that_is_too_long_is_missing_with_the_reason(tmp_path: Path) -> None:
    source, result = tmp_path / "source", tmp_path / "result"
    plan = Plan([(info, NoParams()), (long, NoParams())], Output(), Source())

    for width in (100, MAX_REPORT_LENGTH):
        source.write_bytes(encoded(Image.new("L", (width, 1)), "PNG"))
        write_reports(source, result, plan, LIMITS)
        found = json.loads(result.read_text("utf-8"))

        assert found["info"]["width"] == width
        assert ("long" in found) == (width == 100)
    assert "characters" in found["unavailable"]["long"]["text"]


def test_the_cache_has_two_results_of_an_image_for_all_requests() -> None:
    def key(*parts: str) -> str:
        return metadata_plan(SOURCE, parts).key(SOURCE.sha256, {}, "source", "engine")

    assert key("info") == key("exif") == key("info", "exif")
    assert key("colors") == key("info", "histogram") == key(*PARTS) != key("info")


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("", ["info", "exif", "histogram", "colors", "blurhash"]),
        ("parts=exif,info", ["info", "exif"]),
        ("parts=colors&parts=info", ["info", "colors"]),
        ("parts=info,info", ["info"]),
    ],
)
def test_a_query_chooses_the_parts(query: str, parts: list[str]) -> None:
    assert parts_of(QueryParams(query)) == parts


@pytest.mark.parametrize(
    ("query", "pointer", "word"),
    [
        ("parts=", "/parts", "''"),
        ("parts=info,", "/parts", "''"),
        ("parts=EXIF", "/parts", "EXIF"),
        ("parts=info&parts=faces", "/parts", "faces"),
        ("part=info", "/part", "the fields are: parts"),
    ],
)
def test_a_wrong_query_is_refused_with_the_field(query: str, pointer: str, word: str) -> None:
    with pytest.raises(Problem) as refused:
        parts_of(QueryParams(query))

    assert refused.value.status == 422
    [error] = refused.value.errors
    assert error["pointer"] == pointer
    assert word in error["detail"]
