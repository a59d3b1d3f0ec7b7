"""The format of a response, depending on the Accept header and the size of the result."""

from io import BytesIO

import pytest
from image_processor.render.plans.negotiation import is_avif, most_pixels, negotiated
from image_processor.render.plans.plan import step
from PIL import Image

BOTH = "image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BOTH, "avif"),
        ("image/webp,*/*", "webp"),
        ("image/avif;q=0.8,image/webp;q=0.9", "webp"),
        ("image/webp;q=0.9,image/avif;q=0.9", "avif"),
        ("IMAGE/WEBP", "webp"),
        ("image/avif;q=0", "source"),
        ("image/avif;q=nonsense", "source"),
        ("image/*,*/*", "source"),
        ("", "source"),
    ],
)
def test_the_preferred_format_that_is_named_wins(accept: str, expected: str) -> None:
    assert negotiated(accept, "image/jpeg", 1000, 2000) == expected


def test_a_large_result_is_not_avif() -> None:
    assert negotiated(BOTH, "image/jpeg", 2001, 2000) == "webp"


def test_a_result_of_unknown_size_is_not_avif() -> None:
    assert negotiated(BOTH, "image/jpeg", None, 2000) == "webp"


def test_what_may_be_animated_is_not_avif() -> None:
    assert negotiated(BOTH, "image/gif", 1000, 2000) == "webp"


@pytest.mark.parametrize(
    ("accept", "media_type", "pixels", "expected"),
    [
        ("image/avif", "image/avif", 2000, "source"),
        ("image/avif", "image/avif", 2001, "plain"),
        ("*/*", "image/avif", 2001, "plain"),
        ("*/*", "image/avif", None, "plain"),
        (BOTH, "image/avif", 2001, "webp"),
        ("image/png,image/avif;q=0", "image/avif", 1000, "plain"),
        ("image/webp;q=0", "image/webp", 1000, "plain"),
        ("image/webp;q=0", "image/png", 1000, "source"),
        ("", "image/webp", None, "source"),
    ],
)
def test_the_format_of_the_source_counts_as_a_choice(
    accept: str, media_type: str, pixels: int | None, expected: str
) -> None:
    assert negotiated(accept, media_type, pixels, 2000) == expected


def test_avif_is_recognized_by_its_brands() -> None:
    image = Image.new("RGB", (8, 8))
    heads = dict[str, bytes]()
    for name in ("AVIF", "WEBP", "PNG"):
        file = BytesIO()
        image.save(file, name)
        heads[name] = file.getvalue()[:64]

    assert {name: is_avif(head) for name, head in heads.items()} == {"AVIF": True, "WEBP": False, "PNG": False}
    assert not is_avif(b"")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"width": 100}, 100 * 50),
        ({"height": 50}, 100 * 50),
        ({"width": 100, "height": 100, "fit": "inside"}, 100 * 50),
        ({"width": 100, "height": 100, "fit": "outside"}, 200 * 100),
        ({"width": 100, "height": 100, "fit": "cover"}, 100 * 100),
        ({"width": 100, "height": 100, "fit": "contain", "dpr": 2}, 200 * 200),
        ({"width": 9000, "height": 9000, "fit": "inside"}, 1000 * 500),
        ({"width": 2000, "height": 2000, "fit": "inside", "enlarge": True}, 2000 * 1000),
    ],
)
def test_the_size_of_a_result_follows_from_its_steps(params: dict[str, object], expected: int) -> None:
    assert most_pixels([step("resize", params)], 1000, 500) == expected
