"""URLs that the service makes work: what they cannot ask for is refused when they are made."""

import re
from bisect import bisect_left

import pytest
from image_processor.render.config import NativeUrlSettings
from image_processor.render.dialects import native
from image_processor.render.urls.reading import MAX_TARGET_BYTES
from image_processor.render.urls.signed_urls import UrlMaker, UrlRequest
from service_kit.errors import DomainError

BASE = "http://localhost"
MAKER = UrlMaker(NativeUrlSettings.model_validate({"keys": ["k" * 40]}))


def made(wanted: dict[str, object]) -> list[str]:
    """Return all URLs without their base and path prefix."""
    urls = MAKER.make(UrlRequest.model_validate(wanted), BASE, 1000)
    variants = [variant.split()[0] for variant in (urls.srcset or "").split(", ") if variant]
    return [url.removeprefix(f"{BASE}/img") for url in (urls.url, *variants)]


def test_no_url_is_made_without_a_key() -> None:
    without_keys = UrlMaker(NativeUrlSettings.model_validate({"keys": []}))

    with pytest.raises(DomainError) as error:
        without_keys.make(UrlRequest.model_validate({"file_id": 42}), BASE, 1000)

    assert error.value.kind == "no-render-key"


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"width": 10_000, "dprs": [1, 2]}, "/dprs/1"),
        ({"height": 16_384, "dprs": [1.001]}, "/dprs/0"),
        ({"steps": [{"algorithm": "info"}]}, "/steps"),
        ({"steps": [{"algorithm": "blur"}, {"algorithm": "histogram"}]}, "/steps"),
    ],
)
def test_a_url_that_its_own_service_would_refuse_is_not_made(wanted: dict[str, object], pointer: str) -> None:
    with pytest.raises(DomainError) as error:
        made({"file_id": 42, **wanted})

    assert error.value.kind == "invalid-fields"
    assert [each["pointer"] for each in error.value.errors] == [pointer]


@pytest.mark.parametrize(
    "wanted",
    [
        {"width": 8192, "height": 10, "dprs": [1, 2]},
        {"width": 16_384, "widths": [1, 16_384]},
        {"steps": [{"algorithm": "blur"}], "output": {"format": "png"}},
    ],
)
def test_a_url_that_is_made_has_a_plan(wanted: dict[str, object]) -> None:
    for url in made({"file_id": 42, **wanted}):
        assert native.plan_of(native.parse(url.encode()), {}).source


def with_texts(letters: int) -> dict[str, object]:
    """Return a request for a URL with 20 steps whose texts have this many letters together."""
    lengths = [letters // 20 + (place < letters % 20) for place in range(20)]
    marks = [{"mark": {"text": "é" * length}} for length in lengths]
    return {"file_id": 42, "steps": [{"algorithm": "watermark", "params": mark} for mark in marks]}


def is_refused(letters: int) -> bool:
    try:
        made(with_texts(letters))
    except DomainError:
        return True
    return False


def test_a_url_is_as_long_as_nginx_reads_it() -> None:
    """nginx reads `GET {target} HTTP/1.1` and the end of the line into a buffer of 16 KiB."""
    longest = bisect_left(range(10_000), True, lo=20, key=is_refused) - 1  # noqa: FBT003 (bisect looks for the first True)

    (url,) = made(with_texts(longest))
    with pytest.raises(DomainError) as error:
        made(with_texts(longest + 1))

    line = len(f"GET /img{url} HTTP/1.1\r\n")
    assert MAX_TARGET_BYTES - 32 < line <= MAX_TARGET_BYTES
    assert (error.value.kind, error.value.errors[0]["pointer"]) == ("invalid-fields", "/steps")
    assert re.search("16,352 bytes", error.value.detail)
