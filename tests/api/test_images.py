"""Results of algorithms, compared with Pillow and NumPy."""

import numpy
import pytest
from PIL import Image, ImageCms

from tests.support.client import Served, processed_bytes
from tests.support.images import encoded, opened, photo, pixels


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"width": 32, "height": 10}, (32, 10)),
        ({"width": 32}, (32, 24)),
        ({"height": 96}, (128, 96)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_resize_returns_the_requested_size(pixmill: Served, params: dict[str, object], size: tuple[int, int]) -> None:
    result = processed_bytes(pixmill, photo(64, 48), "p.png", "resize", params)

    assert opened(result).size == size


def test_resize_is_close_to_pillows(pixmill: Served) -> None:
    source = photo(200, 150)

    result = pixels(processed_bytes(pixmill, source, "p.png", "resize", {"width": 50}))

    expected = numpy.asarray(opened(source).resize((50, 38), Image.Resampling.LANCZOS)).astype(int)
    assert numpy.abs(result - expected)[2:-2, 2:-2, :2].mean() < 3


@pytest.mark.parametrize("params", [None, {}, {"direction": "horizontal"}])
def test_flip_mirrors_left_to_right(pixmill: Served, params: dict[str, object] | None) -> None:
    source = photo()

    assert (pixels(processed_bytes(pixmill, source, "p.png", "flip", params)) == pixels(source)[:, ::-1]).all()


def test_flip_mirrors_top_to_bottom(pixmill: Served) -> None:
    source = photo()

    assert (
        pixels(processed_bytes(pixmill, source, "p.png", "flip", {"direction": "vertical"})) == pixels(source)[::-1]
    ).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"])
def test_the_result_has_the_sources_format(pixmill: Served, format: str) -> None:
    result = processed_bytes(pixmill, photo(format=format), f"p.{format.lower()}", "resize", {"width": 20})

    assert opened(result).format == format


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16", "P", "1"])
def test_every_pixel_format_keeps_its_values(pixmill: Served, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray((numpy.arange(64 * 48) * 20).reshape(48, 64).astype("uint16"))
    else:
        image = opened(photo(mode="RGB")).convert(mode)

    result = opened(processed_bytes(pixmill, encoded(image, "PNG"), "p.png", "flip"))

    flipped = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    same = flipped if mode == "I;16" else flipped.convert("RGBA")
    got = result if mode == "I;16" else result.convert("RGBA")
    assert (numpy.asarray(got) == numpy.asarray(same)).all()


def test_transparent_pixels_do_not_bleed(pixmill: Served) -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 32, 64))

    result = pixels(processed_bytes(pixmill, encoded(image, "PNG"), "p.png", "resize", {"width": 16}))

    visible = result[result[..., 3] > 0]
    assert visible[:, 0].max() <= 1, "no red of the transparent half is visible"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(pixmill: Served, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = photo(64, 32, format="JPEG", exif=exif, quality=95)

    result = opened(processed_bytes(pixmill, source, "p.jpg", "flip"))

    assert result.size == ((32, 64) if orientation >= 5 else (64, 32))
    assert result.getexif().get(0x0112, 1) == 1


def test_the_icc_profile_is_kept(pixmill: Served) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = photo(format="JPEG", icc_profile=profile)

    assert opened(processed_bytes(pixmill, source, "p.jpg", "resize", {"width": 20})).info["icc_profile"] == profile


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_animations_stay_animations(pixmill: Served, format: str) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "green", "blue")]
    source = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=120, loop=0)

    result = opened(processed_bytes(pixmill, source, f"a.{format.lower()}", "resize", {"width": 20}))

    assert result.size == (20, 15)
    assert getattr(result, "n_frames") == 3  # noqa: B009 (only animated images have it)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 7)])
def test_tiny_images_are_flipped(pixmill: Served, size: tuple[int, int]) -> None:
    source = photo(*size)

    assert (pixels(processed_bytes(pixmill, source, "p.png", "flip")) == pixels(source)[:, ::-1]).all()
