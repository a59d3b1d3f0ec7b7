"""The responses of `meta/`: JSON in the form of thumbor and imagor."""

import json
from pathlib import Path

import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.imagor import plan as imagor_plan
from image_processor.render.dialects.imagor import url as imagor_url
from image_processor.render.dialects.thumbor import plan as thumbor_plan
from image_processor.render.dialects.thumbor import url as thumbor_url
from image_processor.render.plans.plan import RenderPlan
from image_processor.render.processes.job import Job, LocalFile, Made
from image_processor.render.processes.process import Renderer
from PIL import Image

from tests.support.images import encoded, photo

ARTIST = 0x013B
X_RESOLUTION = 0x011A


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def meta(folder: Path, plan: RenderPlan, content: bytes) -> dict[str, object]:
    source, result = folder / "source", folder / "result"
    source.write_bytes(content)
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    job = Job(plan, LocalFile(str(source), "0" * 64), (), "source", str(result))
    made = Renderer(RenderSettings.model_validate(sections)).answer(job)
    assert isinstance(made, Made), made
    assert made.extension == ".json"
    found: dict[str, object] = json.loads(result.read_text())
    return found


def of_thumbor(folder: Path, path: str, content: bytes) -> dict[str, object]:
    found = meta(folder, thumbor_plan.plan_of(thumbor_url.parse(f"/unsafe/meta/{path}".encode())), content)["thumbor"]
    assert isinstance(found, dict)
    return found


def of_imagor(folder: Path, path: str, content: bytes) -> dict[str, object]:
    return meta(folder, imagor_plan.plan_of(imagor_url.parse(f"/unsafe/meta/{path}".encode())), content)


def test_thumbor_says_what_is_cut_resized_and_mirrored(tmp_path: Path) -> None:
    found = of_thumbor(tmp_path, "-100x100/left/42", photo(400, 200, format="JPEG"))

    assert found == {
        "source": {"url": "42", "width": 400, "height": 200, "frameCount": 1},
        "operations": [
            {"type": "crop", "left": 0, "top": 0, "right": 200, "bottom": 200},
            {"type": "resize", "width": 100, "height": 100},
            {"type": "flip_horizontally"},
        ],
        "target": {"width": 100, "height": 100},
        "focal_points": [{"x": 0, "y": 100, "z": 1.0, "height": 1, "width": 1, "origin": "alignment"}],
    }


def test_thumbor_names_what_a_trim_cuts_away(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (10, 5, 40, 25))

    found = of_thumbor(tmp_path, "trim/42", encoded(image, "PNG"))

    assert found["operations"] == [{"type": "crop", "left": 10, "top": 5, "right": 40, "bottom": 25}]
    assert found["target"] == {"width": 30, "height": 20}


def test_thumbor_counts_a_crop_from_the_edges_of_the_source(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.paste("black", (10, 5, 40, 25))

    found = of_thumbor(tmp_path, "trim/20x10:50x40/42", encoded(image, "PNG"))

    assert found["operations"] == [
        {"type": "crop", "left": 10, "top": 5, "right": 40, "bottom": 25},
        {"type": "crop", "left": 10, "top": 5, "right": 30, "bottom": 20},
    ]


def test_thumbor_keeps_the_points_that_a_filter_names(tmp_path: Path) -> None:
    found = of_thumbor(tmp_path, "100x100/smart/filters:focal(300x0:400x200)/42", photo(400, 200, format="JPEG"))

    assert found["operations"] == [
        {"type": "crop", "left": 200, "top": 0, "right": 400, "bottom": 200},
        {"type": "resize", "width": 100, "height": 100},
    ]
    assert found["focal_points"] == [
        {"x": 350, "y": 100, "z": 20_000, "height": 200, "width": 100, "origin": "Explicit"}
    ]


def test_thumbor_counts_points_from_what_the_url_cuts_out(tmp_path: Path) -> None:
    content = photo(640, 480, format="JPEG")

    found = of_thumbor(tmp_path, "10x10:400x400/100x100/filters:focal(300x0:400x200)/42", content)

    assert found["focal_points"] == [
        {"x": 340, "y": 90, "z": 20_000, "height": 200, "width": 100, "origin": "Explicit"}
    ]


def test_thumbor_rounds_the_side_that_follows_and_cuts_to_it(tmp_path: Path) -> None:
    found = of_thumbor(tmp_path, "50x0/42", photo(290, 190, format="JPEG"))

    assert found["operations"] == [
        {"type": "crop", "left": 1, "top": 0, "right": 289, "bottom": 190},
        {"type": "resize", "width": 50, "height": 33},
    ]


def test_imagor_describes_the_result(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "Ada Lovelace"

    found = of_imagor(tmp_path, "fit-in/50x50/42", photo(400, 200, format="JPEG", exif=exif))

    assert found == {
        "format": "jpeg",
        "content_type": "image/jpeg",
        "width": 50,
        "height": 25,
        "orientation": 0,
        "pages": 1,
        "bands": 3,
        "exif": found["exif"],
        "filters": [],
    }
    assert isinstance(found["exif"], dict)
    assert found["exif"]["Artist"] == "Ada Lovelace"


def test_imagor_names_the_format_of_the_result(tmp_path: Path) -> None:
    found = of_imagor(tmp_path, "filters:format(webp)/42", photo(400, 200, format="JPEG"))

    assert (found["format"], found["content_type"]) == ("webp", "image/webp")


@pytest.mark.parametrize(
    ("path", "setting", "tags"),
    [
        ("42", False, 1),
        ("filters:strip_exif()/42", False, 0),
        # imagor itself shows the tags here, though its result has none of them.
        ("filters:strip_metadata()/42", False, 0),
        ("42", True, 0),
    ],
)
def test_imagor_names_no_tags_that_the_result_does_not_have(
    tmp_path: Path, path: str, setting: bool, tags: int
) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "Ada Lovelace"
    defaults = imagor_plan.ImagorDefaults(strip_metadata=setting)
    plan = imagor_plan.plan_of(imagor_url.parse(f"/unsafe/meta/{path}".encode()), defaults)

    found = meta(tmp_path, plan, photo(40, 20, format="JPEG", exif=exif))

    assert isinstance(found["exif"], dict)
    assert list(found["exif"].values()).count("Ada Lovelace") == tags


def test_imagor_writes_tags_as_they_are_stored(tmp_path: Path) -> None:
    """imagor, exif.go and docs/docs/metadata-and-exif.md: a fraction stays one."""
    exif = Image.Exif()
    exif[X_RESOLUTION] = 72.0

    found = of_imagor(tmp_path, "42", photo(40, 20, format="JPEG", exif=exif))

    assert isinstance(found["exif"], dict)
    assert found["exif"]["XResolution"] == "72/1"


def test_imagor_says_which_filters_have_an_effect(tmp_path: Path) -> None:
    """imagor, filter_processed_test.go, TestMetaFilterReport."""
    found = of_imagor(tmp_path, "20x20/filters:vintage(70):blur(5):rotate()/42", photo(40, 20, format="PNG"))

    assert found["filters"] == [{"name": "blur", "processed": True}, {"name": "rotate", "processed": False}]


def test_imagor_computes_what_the_url_asks_for(tmp_path: Path) -> None:
    """imagor, docs/docs/metadata-and-exif.md."""
    red = encoded(Image.new("RGB", (40, 20), (200, 10, 0)), "PNG")

    found = of_imagor(tmp_path, "filters:avgcolor():blurhash(4,3)/42", red)

    assert found["average_color"] == {"r": 200, "g": 10, "b": 0}
    assert isinstance(found["blurhash"], str)
    assert len(found["blurhash"]) == 28


def test_imagor_takes_whole_numbers_with_a_point(tmp_path: Path) -> None:
    red = encoded(Image.new("RGB", (40, 20), (200, 10, 0)), "PNG")

    found = of_imagor(tmp_path, "filters:blurhash(4.0,3)/42", red)

    assert found == of_imagor(tmp_path, "filters:blurhash(4,3)/42", red)
