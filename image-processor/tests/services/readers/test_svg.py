"""SVG: size, pixels, sharpness at any size; no external resource is loaded, and bombs are refused."""

import base64
import gzip
from pathlib import Path

import pytest
from image_processor.services.codec.decoding import ImageError, ImageLimits

from tests.support.algorithm_runs import processed, report
from tests.support.images import opened, photo, pixels, png_bomb

START = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
RED = (255, 0, 0, 255)
KEPT = {"format": "png"}


def svg(content: str, size: str = 'width="40" height="20"', before: str = "") -> bytes:
    return f"{before}{START} {size}>{content}</svg>".encode()


def data_of(picture: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ('width="40" height="20"', (40, 20)),
        ('width="40px" height="20.4"', (40, 20)),
        ('width="1in" height="72pt"', (96, 96)),
        ('width="25.4mm" height="2.54cm"', (96, 96)),
        ('viewBox="0 0 30 15"', (30, 15)),
        ('viewBox="0 0 30 15" width="60"', (60, 30)),
        ('viewBox="0 0 30 15" width="100%" height="100%"', (30, 15)),
        ("", (300, 150)),
    ],
)
def test_an_svg_has_the_size_that_a_browser_gives_it(size: str, expected: tuple[int, int]) -> None:
    assert opened(processed(svg("", size), "convert", KEPT)).size == expected


def test_shapes_have_their_colors_on_a_transparent_background() -> None:
    result = pixels(processed(svg('<rect x="10" width="30" height="20" fill="#00f"/>'), "convert", KEPT))

    assert tuple(result[10, 20]) == (0, 0, 255, 255)
    assert result[10, 5, 3] == 0


def test_text_is_rendered_without_system_fonts() -> None:
    result = pixels(processed(svg('<text y="18" font-family="Anything">Ж</text>'), "convert", KEPT))

    assert result[..., 3].max() == 255


@pytest.mark.parametrize("scale", [0.5, 4])
def test_a_drawing_is_sharp_at_every_size(scale: float) -> None:
    source = svg('<rect width="20" height="20" fill="red"/>')

    result = pixels(processed(source, "resize", {"width": int(40 * scale), "enlarge": True, "output": KEPT}))

    edge = int(20 * scale)
    assert result.shape[:2] == (20 * scale, 40 * scale)
    assert [tuple(result[2, edge - 1]), tuple(result[2, edge])] == [RED, (0, 0, 0, 0)]


def test_an_enlarged_drawing_over_the_limit_is_refused() -> None:
    with pytest.raises(ImageError, match="would have 20,000 pixels; the limit is 10,000"):
        processed(svg(""), "resize", {"width": 200, "enlarge": True}, limits=ImageLimits(10_000, 1))


@pytest.mark.parametrize(
    "before",
    [
        '<?xml version="1.0" encoding="UTF-8"?>\n',
        "<!-- drawn -->\n<!-- by hand -->",
        '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">',
        '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY ns "http://www.w3.org/2000/svg">]>\n',
        "\ufeff",
    ],
)
def test_declarations_and_comments_may_precede_the_root(before: str) -> None:
    assert report(svg("", before=before), "info")["format"] == "svg"


RECTANGLE = svg('<rect width="20" height="20" fill="red"/>')
MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"


@pytest.mark.parametrize(
    "content",
    [
        b'<?xml version="1.0"?><!-- ' + b"x" * 50_000 + b" -->" + RECTANGLE,
        (f'{MARK}<?xml version="1.0" encoding="UTF-16"?>' + RECTANGLE.decode()).encode("utf-16-le"),
        (MARK + RECTANGLE.decode()).encode("utf-16-be"),
        gzip.compress(RECTANGLE),
        gzip.compress((MARK + RECTANGLE.decode()).encode("utf-16-le")),
    ],
)
def test_encoded_and_compressed_svgs_are_read(content: bytes) -> None:
    result = pixels(processed(content, "convert", KEPT))

    assert result.shape == (20, 40, 4)
    assert tuple(result[10, 10]) == RED
    assert tuple(result[10, 30]) == (0, 0, 0, 0)


def test_the_limit_of_bytes_counts_the_decompressed_svg() -> None:
    with pytest.raises(ImageError, match="an SVG may have at most 33,554,432 bytes"):
        processed(gzip.compress(b"<!-- x -->" + RECTANGLE + b" " * 40_000_000), "convert", KEPT)


@pytest.mark.parametrize("inside", [b"words", gzip.compress(RECTANGLE), b""])
def test_other_compressed_content_is_not_an_svg(inside: bytes) -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        processed(gzip.compress(inside), "convert", KEPT)


def test_internal_entities_are_expanded() -> None:
    before = '<!DOCTYPE svg [<!ENTITY color "red">]>'

    result = pixels(processed(svg('<rect width="40" height="20" fill="&color;"/>', before=before), "convert", KEPT))

    assert tuple(result[0, 0]) == RED


@pytest.mark.parametrize("name", ["href", "xlink:href"])
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_reference_to_a_local_file_is_ignored(tmp_path: Path, name: str, prefix: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo(40, 20))

    result = pixels(processed(svg(f'<image {name}="{prefix}{secret}" width="40" height="20"/>'), "convert", KEPT))

    assert result.max() == 0


def test_a_reference_to_a_local_file_in_an_entity_is_ignored(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(photo(40, 20))
    before = f'<!DOCTYPE svg [<!ENTITY where "{secret}">]>'

    result = pixels(processed(svg('<image href="&where;" width="40" height="20"/>', before=before), "convert", KEPT))

    assert result.max() == 0


def test_an_external_entity_is_not_loaded(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    before = f'<!DOCTYPE svg [<!ENTITY what SYSTEM "file://{secret}">]>'

    with pytest.raises(ImageError, match="The image is damaged: undefined entity"):
        processed(svg('<text y="18">&what;</text>', before=before), "convert", KEPT)


def test_an_embedded_picture_is_rendered() -> None:
    source = svg(f'<image href="{data_of(photo(40, 20))}" width="40" height="20"/>')

    assert pixels(processed(source, "convert", KEPT))[..., 3].min() == 255


def test_an_embedded_svg_is_not_rendered() -> None:
    inner = data_of(svg('<rect width="40" height="20"/>'), "svg+xml")

    assert pixels(processed(svg(f'<image href="{inner}" width="40" height="20"/>'), "convert", KEPT)).max() == 0


@pytest.mark.slow
def test_a_bomb_as_an_embedded_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="pictures in the SVG have 2,500,000,000 pixels"):
        processed(svg(f'<image href="{data_of(png_bomb())}" width="40" height="20"/>'), "convert", KEPT)


def test_exponentially_growing_entities_are_refused() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    before = f'<!DOCTYPE svg [<!ENTITY e0 "0123456789">{levels}]>'

    with pytest.raises(ImageError, match="The image is damaged: limit on input amplification"):
        processed(svg("<text>&e9;</text>", before=before), "convert", KEPT)


@pytest.mark.parametrize(
    "content",
    [
        "<g>" * 100_000 + "</g>" * 100_000,
        "".join(f'<g id="g{n}"><use href="#g{n + 1}"/></g>' for n in range(300)) + '<g id="g300"/>',
        "".join(f'<clipPath id="c{n}" clip-path="url(#c{n + 1})"/>' for n in range(300)) + '<clipPath id="c300"/>',
    ],
    ids=["elements", "uses", "clips"],
)
def test_nesting_that_would_crash_the_process_is_refused(content: str) -> None:
    with pytest.raises(ImageError, match="nested more than 100 levels deep"):
        processed(svg(content), "convert", KEPT)


def test_an_element_that_refers_to_itself_is_rendered() -> None:
    source = svg('<rect width="40" height="20" fill="red"/><g id="g"><use href="#g"/></g>')

    assert tuple(pixels(processed(source, "convert", KEPT))[0, 0]) == RED


def test_exponentially_many_uses_are_refused() -> None:
    doubled = "".join(f'<g id="g{n}"><use href="#g{n - 1}"/><use href="#g{n - 1}"/></g>' for n in range(1, 40))

    with pytest.raises(ImageError, match="limit"):
        processed(svg(f'<defs><rect id="g0"/>{doubled}</defs><use href="#g39"/>'), "convert", KEPT)


def test_an_svg_over_the_limit_is_refused_by_its_root() -> None:
    with pytest.raises(ImageError, match="10,000,000,000 pixels"):
        processed(svg("", 'width="100000" height="100000"'), "convert", KEPT)


def test_a_drawing_that_needs_too_much_memory_does_not_end_the_process() -> None:
    with pytest.raises(MemoryError):
        processed(svg("", 'width="1000000" height="1000000"'), "convert", KEPT, limits=ImageLimits(10**12, 1, 10**13))


@pytest.mark.parametrize("source", [svg("")[:-3], svg("<g>"), svg("", 'width="0" height="3"')])
def test_a_damaged_svg_is_refused_with_a_reason(source: bytes) -> None:
    with pytest.raises(ImageError, match=r"^The image is damaged: .{5,}\.$"):
        processed(source, "convert", KEPT)


def test_an_html_page_with_an_svg_is_not_an_image() -> None:
    with pytest.raises(ImageError, match="not an image of a known format"):
        processed(b"<html><body>" + svg("") + b"</body></html>", "info")
