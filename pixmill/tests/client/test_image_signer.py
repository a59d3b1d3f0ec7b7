"""URLs signed by the client, parsed by the server's grammar and verified by its signer."""

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from image_processor.render.config import NativeUrlSettings
from image_processor.render.dialects import native
from image_processor.render.signing import NativeSigner
from image_processor.render.urls.signed_urls import UrlMaker, UrlRequest
from pixmill.params import Blur, Convert, Histogram, Info, Output, Resize, Watermark
from pixmill.steps import Chain
from pydantic import ValidationError
from service_kit.errors import DomainError

from pixmill import ImageSigner, ImageUrls, Rendition

KEY = "a key of images with 32 bytes and more"
BASE = "https://images.example.com"
SIGNER = ImageSigner(f"{BASE}/", KEY)


def as_the_server(rendition: Rendition) -> ImageUrls:
    maker = UrlMaker(NativeUrlSettings.model_validate({"keys": [KEY]}))
    wanted = UrlRequest.model_validate({"file_id": 42, **rendition.as_json()})
    return ImageUrls.of(maker.make(wanted, BASE, now=0).model_dump(exclude_none=True))


def path_after_host(url: str) -> bytes:
    return url.removeprefix(f"{BASE}/img").encode()


@pytest.mark.parametrize(
    "rendition",
    [
        Rendition(),
        Rendition(width=320, height=200, format="webp", quality=70),
        Rendition(preset="avatar", widths=[320, 640]),
        Rendition(steps=Resize(width=800) | Watermark(text="© я/?%")),
        Rendition(steps=Blur(radius=2), output=Output(format="avif", quality=40), formats=["avif", "webp"]),
        Rendition(width=99, dprs=[1, 1.5, 3], formats=["png"]),
        Rendition(output=Output(format="png")),
    ],
    ids=["nothing", "options", "preset", "text", "output", "dprs", "only output"],
)
def test_the_client_signs_what_the_server_signs(rendition: Rendition) -> None:
    assert SIGNER.urls(42, rendition) == as_the_server(rendition)


def test_a_url_ends_when_it_should() -> None:
    before = datetime.now(UTC)

    urls = SIGNER.urls(42, Rendition(expires=timedelta(hours=1)))

    assert urls.expires_at is not None
    assert timedelta(0) <= urls.expires_at - before.replace(microsecond=0) - timedelta(hours=1) < timedelta(minutes=5)
    assert native.parse(path_after_host(urls.url)).options == {"exp": str(int(urls.expires_at.timestamp()))}


@pytest.mark.parametrize("source", ["ab" * 32, "https://example.org/a cat.jpg?size=1#top", "42/имя.webp"])
def test_any_source_is_signed(source: str) -> None:
    url = native.parse(path_after_host(SIGNER.urls(source, Rendition(width=10)).url))

    assert url.source == source
    assert NativeSigner([KEY.encode()]).accepts(url.signature, url.signed)


def test_a_preset_of_another_owner_names_its_owner() -> None:
    signer = ImageSigner(BASE, KEY, preset_owner="shop")

    url = native.parse(path_after_host(signer.urls(42, Rendition(preset="avatar")).url))

    assert native.preset_of(url) == native.WantedPreset("avatar", "shop")


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"preset": "a", "steps": Blur()}, "its own steps"),
        ({"preset": "a", "output": Output(format="png")}, "its own steps"),
        ({"widths": [1], "dprs": [2]}, "not both"),
        ({"dprs": [2]}, "need a width"),
    ],
)
def test_what_contradicts_itself_is_refused(wanted: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Rendition(**wanted)  # type: ignore[arg-type]  # values of several types by their names


@pytest.mark.parametrize(
    "wanted", [Rendition(width=10_000, dprs=(1, 2)), Rendition(widths=(0,)), Rendition(height=16_385)]
)
def test_a_side_that_the_server_refuses_is_not_signed(wanted: Rendition) -> None:
    with pytest.raises(ValueError, match="16384 pixels"):
        ImageSigner(BASE, KEY).urls(42, wanted)


@pytest.mark.parametrize("key", ["", " ", "k" * 31, "я" * 15])
def test_a_key_that_the_server_refuses_signs_nothing(key: str) -> None:
    with pytest.raises(ValidationError, match="at least 32 bytes"):
        NativeUrlSettings.model_validate({"keys": [key]})

    with pytest.raises(ValueError, match="at least 32 bytes"):
        ImageSigner(BASE, key)


def test_the_shortest_key_that_the_server_accepts_signs() -> None:
    key = "я" * 16
    NativeUrlSettings.model_validate({"keys": [key]})

    assert ImageSigner(BASE, key).urls(42).url


@pytest.mark.parametrize("steps", [Info(), Histogram(), Blur() | Histogram()])
def test_an_analysis_is_not_signed(steps: Chain) -> None:
    with pytest.raises(ValueError, match="no analysis"):
        ImageSigner(BASE, KEY).urls(42, Rendition(steps=steps))


def test_a_step_that_chooses_the_encoding_is_signed() -> None:
    assert ImageSigner(BASE, KEY).urls(42, Rendition(steps=Convert(format="png"))).url


def is_signed(rendition: Rendition, sign: Callable[[Rendition], ImageUrls]) -> bool:
    try:
        return bool(sign(rendition).url)
    except (ValueError, DomainError):
        return False


def test_a_url_that_is_too_long_for_the_server_is_not_signed() -> None:
    text = Watermark(text="é" * 500)
    eleven = reduce(operator.or_, [text] * 10, text)
    renditions = [Rendition(steps=eleven | Watermark(text="é" * length)) for length in range(10, 500, 20)]

    signed = [is_signed(rendition, lambda wanted: SIGNER.urls(42, wanted)) for rendition in renditions]

    assert signed == [is_signed(rendition, as_the_server) for rendition in renditions]
    assert (signed[0], signed[-1]) == (True, False)
    with pytest.raises(ValueError, match="at most 16352 bytes"):
        SIGNER.urls(42, renditions[-1])
