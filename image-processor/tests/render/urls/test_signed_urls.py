"""URLs that the service makes work: what they cannot ask for is refused when they are made."""

import pytest
from image_processor.render.config import NativeUrlSettings
from image_processor.render.dialects import native
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
