"""PDF: the first page, upright, at 150 dots per inch or sharp at another size; limits are checked before rendering."""

import numpy
import pytest
from image_processor.services.codec.decoding import ImageError, ImageLimits

from tests.support.algorithm_runs import processed, report
from tests.support.images import encoded, opened, photo, pixels

KEPT = {"format": "png"}
RED, WHITE = (255, 0, 0), (255, 255, 255)
LEFT_HALF = b"1 0 0 rg 0 0 72 72 re f"


def pdf(width: float, height: float, *contents: bytes, page: bytes = b"", trailer: bytes = b"") -> bytes:
    """Return a PDF with a page for each content stream (ISO 32000-1, 7.7), with sizes in points."""
    kids = b" ".join(b"%d 0 R" % (3 + 2 * number) for number in range(len(contents)))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(contents))]
    for number, content in enumerate(contents):
        box = f"[0 0 {width} {height}]".encode()
        objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox%b/Contents %d 0 R%b>>" % (box, 4 + 2 * number, page))
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(content), content))
    written, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size %d/Root 1 0 R%b>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, len(written))
    return written + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end


def test_the_first_page_is_rendered_at_150_dots_per_inch_on_white() -> None:
    source = pdf(144, 72, LEFT_HALF, b"")

    result = pixels(processed(source, "convert", KEPT))

    assert result.shape == (150, 300, 3)
    assert [tuple(result[75, 149]), tuple(result[75, 150])] == [RED, WHITE]
    assert report(source, "info")["dots_per_inch"] == 150


@pytest.mark.parametrize("width", [30, 333, 1000])
def test_a_page_is_sharp_at_every_size(width: int) -> None:
    source = pdf(144, 72, LEFT_HALF)

    result = pixels(processed(source, "resize", {"width": width, "enlarge": True, "output": KEPT}))

    assert result.shape[1] == width
    assert [tuple(result[5, width // 2 - 2]), tuple(result[5, width // 2 + 1])] == [RED, WHITE]


def test_a_page_is_upright() -> None:
    result = pixels(processed(pdf(144, 72, LEFT_HALF, page=b"/Rotate 90"), "convert", KEPT))

    assert result.shape == (300, 150, 3)
    assert [tuple(result[10, 75]), tuple(result[290, 75])] == [RED, WHITE]


def test_an_image_on_a_page_keeps_its_pixels() -> None:
    image = opened(photo(60, 40))
    source = encoded(image, "PDF", resolution=150, quality=100)

    result = opened(processed(source, "convert", KEPT))

    assert result.size == (60, 40)
    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(image)).mean() < 3


def test_a_page_over_the_limit_is_refused_before_it_is_rendered() -> None:
    with pytest.raises(ImageError, match="90,000 pixels; the limit is 89,999"):
        processed(pdf(144, 144, b""), "convert", KEPT, limits=ImageLimits(89_999, 1))


def test_an_enormous_page_is_refused() -> None:
    with pytest.raises(ImageError, match=r"The image has .* pixels; the limit is 100,000,000"):
        processed(pdf(1e7, 1e7, b""), "convert", KEPT)


@pytest.mark.parametrize(
    "source",
    [b"%PDF-1.7\nand nothing else", pdf(144, 72, LEFT_HALF)[:200], pdf(144, 72)],
    ids=["a header", "cut off", "no page"],
)
def test_a_damaged_pdf_is_refused_with_a_reason(source: bytes) -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged: .{5,}\.$"):
        processed(source, "convert", KEPT)


def test_the_error_for_an_encrypted_pdf_names_the_password() -> None:
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<%b>/U<%b>>>/ID[<00><00>]" % (b"00" * 32, b"00" * 32)

    with pytest.raises(ImageError, match="needs a password"):
        processed(pdf(144, 72, b"", trailer=lock), "convert", KEPT)


def test_a_result_in_the_format_of_the_source_is_a_png() -> None:
    assert opened(processed(pdf(144, 72, LEFT_HALF), "resize", {"width": 50})).format == "PNG"
