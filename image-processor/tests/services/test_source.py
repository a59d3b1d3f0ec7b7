"""The option `source`: a page of a document and the resolution of a drawing; a missing page is an error."""

import io

import numpy
import pypdfium2
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError
from image_processor.services.codec.plan import plan_of
from image_processor.services.jobs.result_cache import cache_key
from PIL import Image
from service_kit.errors import DomainError

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels

PNG = {"output": {"format": "png"}}
SIZES = ((72, 36), (36, 72), (144, 144))
"""Page sizes: points in a PDF, pixels in a TIFF."""


def pdf() -> bytes:
    document = pypdfium2.PdfDocument.new()
    for width, height in SIZES:
        document.new_page(width, height)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def tiff(*sizes: tuple[int, int]) -> bytes:
    """Return a TIFF whose pages each have a single color, with red of 10, 20, 30 …"""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, (width, height) in enumerate(sizes, 1):
            page = numpy.full((height, width, 3), (10 * number, 100, 200), dtype="uint8")
            writer.write(page, photometric="rgb", extratags=[(315, "s", 0, f"Artist {number}", False)])
    return file.getvalue()


def animation(format: str) -> bytes:
    frames = [Image.new("RGB", (40, 24), (80 * number, 100, 200)) for number in range(3)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)


def svg() -> bytes:
    return (
        b'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10">'
        b'<rect width="20" height="10" fill="white"/><rect width="7" height="10" fill="black"/></svg>'
    )


def with_source(content: bytes, **source: int) -> Image.Image:
    return opened(processed(content, "flip", {"direction": "horizontal", "source": source, **PNG}))


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_of_a_pdf_can_be_chosen(page: int) -> None:
    width, height = SIZES[page - 1]

    assert with_source(pdf(), page=page, dpi=72).size == (width, height)


@pytest.mark.parametrize(("dpi", "size"), [(72, (72, 36)), (150, (150, 75)), (300, (300, 150))])
def test_a_pdf_is_rendered_at_the_requested_resolution(dpi: int, size: tuple[int, int]) -> None:
    assert with_source(pdf(), dpi=dpi).size == size


def test_a_pdf_is_rendered_at_150_dots_per_inch_by_default() -> None:
    assert report(pdf(), "info")["width"] == 150
    assert report(pdf(), "info")["dots_per_inch"] == 150
    assert report(pdf(), "info", {"source": {"dpi": 300}})["dots_per_inch"] == 300


@pytest.mark.parametrize(("content", "scale"), [(pdf(), 2), (tiff(*SIZES), 1)])
def test_info_lists_the_size_of_each_page(content: bytes, scale: int) -> None:
    found = report(content, "info", {"source": {"dpi": 144}})

    assert found["frames"] == 3
    assert found["pages"] == [{"width": scale * width, "height": scale * height} for width, height in SIZES]


def test_info_also_lists_pages_of_the_same_size() -> None:
    assert report(tiff((8, 4), (8, 4)), "info")["pages"] == [{"width": 8, "height": 4}] * 2


@pytest.mark.parametrize("sizes", [SIZES, ((40, 20),) * 3])
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_page_of_a_tiff_can_be_chosen_and_keeps_its_tags(sizes: tuple[tuple[int, int], ...], page: int) -> None:
    chosen = with_source(tiff(*sizes), page=page)

    assert chosen.size == sizes[page - 1]
    assert chosen.getpixel((0, 0)) == (10 * page, 100, 200)
    assert chosen.getexif()[315] == f"Artist {page}"


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_frame_of_an_animation_can_be_chosen(format: str, page: int) -> None:
    chosen = with_source(animation(format), page=page)
    smaller = opened(processed(animation(format), "resize", {"width": 10, "source": {"page": page}, **PNG}))

    assert chosen.convert("RGB").getpixel((0, 0)) == (80 * (page - 1), 100, 200)
    assert smaller.convert("RGB").getpixel((5, 2)) == (80 * (page - 1), 100, 200)


def test_a_chosen_page_becomes_a_single_frame() -> None:
    result = processed(tiff(*SIZES), "convert", {"format": "webp", "source": {"page": 2}})

    assert (opened(result).size, report(result, "info")["frames"]) == ((36, 72), 1)


def test_the_first_page_of_any_image_can_be_chosen() -> None:
    assert with_source(photo(), page=1).size == (64, 48)
    assert with_source(animation("PNG"), page=1).size == (40, 24)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf(), "There is no page 4: the image has 3 pages."),
        (tiff(*SIZES), "There is no page 4: the image has 3 pages."),
        (tiff((4, 4), (4, 4)), "There is no page 4: the image has 2 pages."),
        (animation("GIF"), "There is no page 4: the image has 3 pages."),
        (animation("WEBP"), "There is no page 4: the image has 3 pages."),
        (animation("PNG"), "This PNG is an animation of 3 frames, of which only the first can be read."),
        (photo(format="PNG"), "There is no page 4: the image has 1 page."),
        (photo(format="JPEG"), "There is no page 4: the image has 1 page."),
        (photo(format="BMP"), "There is no page 4: the image has 1 page."),
        (svg(), "There is no page 4: the image has 1 page."),
    ],
)
def test_the_error_for_a_missing_page_names_the_number_of_pages(content: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        with_source(content, page=4)

    assert str(error.value) == reason


@pytest.mark.parametrize(("dpi", "size"), [(96, (20, 10)), (192, (40, 20)), (144, (30, 15)), (48, (10, 5))])
def test_an_svg_is_rendered_at_the_requested_resolution(dpi: int, size: tuple[int, int]) -> None:
    assert with_source(svg(), dpi=dpi).size == size


def test_the_resolution_does_not_change_an_image_with_pixels() -> None:
    assert with_source(photo(), dpi=300).size == (64, 48)


@pytest.mark.parametrize(
    "params",
    [
        {"width": 200, "height": 100},
        {"width": 200, "height": 100, "linear": True},
        {"width": 200, "height": 100, "fit": "cover", "gravity": "attention", "enlarge": True},
        {"width": 200, "source": {"dpi": 48}},
    ],
)
def test_an_enlarged_svg_is_sharp(params: dict[str, object]) -> None:
    result = pixels(processed(svg(), "resize", {**params, **PNG}))[..., :3]

    assert result.shape[:2] == (100, 200)
    assert (result[:, :70].max(), result[:, 70:].min()) == (0, 255)


def test_an_svg_enlarged_by_its_resolution_is_sharp() -> None:
    steps = [{"algorithm": "crop", "params": {"width": 100, "height": 100}}]

    result = pixels(processed(svg(), "pipeline", {"steps": steps, "source": {"dpi": 960}, **PNG}))[..., :3]

    assert sorted(set(result.flat)) in ([0, 255], [0])


@pytest.mark.parametrize("algorithm", ["info", "convert", "resize", "tile", "compare"])
@pytest.mark.parametrize(
    "source", [{"page": 0}, {"page": 1.5}, {"dpi": 9}, {"dpi": 2401}, {"density": 72}, {"page": "1"}]
)
def test_the_error_for_a_wrong_source_points_to_its_field(algorithm: str, source: dict[str, object]) -> None:
    params = {"resize": {"width": 4}, "compare": {"file_id": 1}}.get(algorithm, {})

    with pytest.raises(DomainError) as problem:
        plan_of(algorithm, {**params, "source": source})

    assert [error["pointer"] for error in problem.value.errors] == [f"/params/source/{next(iter(source))}"]


def test_the_cache_key_depends_on_page_and_resolution() -> None:
    sources = [None, {"page": 1}, {"page": 2}, {"dpi": 300}, {"dpi": 300, "page": 2}]
    keys = [cache_key("local", plan_of("resize", {"width": 4, "source": source}), ["sha"]) for source in sources]

    assert len(set(keys)) == len(sources)
    assert cache_key("local", plan_of("resize", {"width": 4, "source": {}}), ["sha"]) == keys[0]
    assert cache_key("local", plan_of("resize", {"width": 4, "source": {"page": None}}), ["sha"]) == keys[0]
