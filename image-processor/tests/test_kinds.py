"""Every kind of image gives the same pixels, against Pillow."""

import io
from collections.abc import Callable

import numpy
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError
from PIL import Image, ImageOps

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo

Peer = Callable[[Image.Image], Image.Image]


def colours_only(change: Peer) -> Peer:
    """Apply a change to the colors of an RGBA image; alpha stays."""

    def changed(image: Image.Image) -> Image.Image:
        made = change(image.convert("RGB")).convert("RGB")
        made.putalpha(image.getchannel("A"))
        return made

    return changed


PEERS: dict[str, tuple[dict[str, object], Peer]] = {
    "flip": ({}, ImageOps.mirror),
    "rotate": ({"angle": 90}, lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    "crop": ({"width": 1, "height": 1, "left": 0, "top": 0}, lambda image: image.crop((0, 0, 1, 1))),
    "invert": ({}, colours_only(ImageOps.invert)),
    "grayscale": ({}, colours_only(lambda image: image.convert("L"))),
    "brightness": ({"amount": 20}, colours_only(lambda image: image.point([min(255, v + 51) for v in range(256)] * 3))),
    "border": ({"width": 3, "color": "#0000ff"}, lambda image: ImageOps.expand(image, 3, (0, 0, 255, 255))),
}
SIZES = {"odd": (37, 23), "1×1": (1, 1), "1×50": (1, 50), "50×1": (50, 1)}
MODES = ["RGB", "L", "RGBA", "LA", "P", "1"]


def seen(content: bytes) -> Image.Image:
    return opened(content).convert("RGBA")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", PEERS)
def test_every_kind_of_image_matches_pillow(algorithm: str, mode: str, size: str) -> None:
    params, peer = PEERS[algorithm]
    source = photo(*SIZES[size], mode=mode)

    result = seen(processed(source, algorithm, params))

    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(peer(seen(source))).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_image_is_resized_to_its_mean(mode: str) -> None:
    source = photo(64, 64, mode=mode)

    result = numpy.asarray(seen(processed(source, "resize", {"width": 1, "height": 1, "kernel": "linear"})))

    assert numpy.abs(result[0, 0].astype(int) - numpy.asarray(seen(source)).mean(axis=(0, 1))).max() <= 8


@pytest.mark.parametrize("algorithm", ["flip", "invert", "brightness", "border", "grayscale"])
@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_every_frame_is_changed_like_a_still_image(algorithm: str, format: str) -> None:
    params, peer = PEERS[algorithm]
    frames = [Image.new("RGB", (20, 14), color) for color in ((200, 30, 40), (20, 40, 90), (5, 250, 90))]
    options = {"lossless": True} if format == "WEBP" else {}
    source = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options)

    result = Image.open(io.BytesIO(processed(source, algorithm, params | {"output": {"lossless": format == "WEBP"}})))

    assert getattr(result, "n_frames", 1) == 3
    for number, frame in enumerate(frames):
        result.seek(number)
        expected = numpy.asarray(peer(frame.convert("RGBA")).convert("RGB")).astype(int)
        assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - expected).max() <= 8, "a GIF has a palette"


def test_the_colors_of_cmyk_are_those_of_its_rgb() -> None:
    source = photo(mode="CMYK", format="TIFF")

    result = numpy.asarray(seen(processed(source, "brightness", {"amount": 0, "output": {"format": "png"}})))

    # Inks cannot show every color, so only dark and bright are compared.
    expected = numpy.asarray(opened(source).convert("L")).astype(int)
    gray = numpy.asarray(Image.fromarray(result).convert("L")).astype(int)
    assert numpy.corrcoef(expected.ravel(), gray.ravel())[0, 1] > 0.9


RAMP = numpy.linspace(0, 1, 24 * 16).reshape(16, 24)
COLORS = numpy.dstack([RAMP, RAMP[::-1], 1 - RAMP])


def tiff(values: numpy.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        getattr(writer, "write")(values, **options)  # noqa: B009 (its types are stricter than it is)
    return file.getvalue()


def bytes_of(*bands: numpy.ndarray) -> numpy.ndarray:
    values: numpy.ndarray = numpy.rint(numpy.dstack(bands) * 255).astype("uint8")
    return values


# As in ImageMagick and Pillow, 0 is black, and 1, or the greatest number, is white.
SAMPLES = {
    "floating point": (tiff(RAMP.astype("float32")), RAMP),
    "half precision": (tiff(RAMP.astype("float16")), RAMP),
    "floating-point colors": (tiff(COLORS.astype("float32"), photometric="rgb"), COLORS),
    "floating point below 0": (tiff((RAMP - 0.25).astype("float32")), RAMP.clip(0.25) - 0.25),
    "32 bits": (tiff((RAMP * (2**32 - 1)).astype("uint32")), RAMP),
    "32 bits of colors": (tiff((COLORS * (2**32 - 1)).astype("uint32"), photometric="rgb"), COLORS),
    "a spare band": (tiff(bytes_of(COLORS, RAMP), photometric="rgb", extrasamples=[0]), COLORS),
    "two spare bands": (tiff(bytes_of(COLORS, RAMP, RAMP), photometric="rgb", extrasamples=[0, 0]), COLORS),
    "a spare band of gray": (tiff(bytes_of(RAMP, RAMP[::-1]), photometric="minisblack", extrasamples=[0]), RAMP),
    "white is zero": (tiff(bytes_of(RAMP)[..., 0], photometric="miniswhite"), 1 - RAMP),
}


@pytest.mark.parametrize("algorithm", ["convert", "brightness", "flip"])
@pytest.mark.parametrize("target", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_of_every_kind_have_their_brightness(kind: str, target: str, algorithm: str) -> None:
    content, expected = SAMPLES[kind]
    output = {"format": target, "quality": 100}
    params = {"brightness": {"amount": 0}}.get(algorithm, {})

    result = opened(processed(content, algorithm, output if algorithm == "convert" else params | {"output": output}))

    values = numpy.asarray(result).astype(float) / (257 if result.mode.startswith("I") else 1)
    values = values[:, ::-1] if algorithm == "flip" else values
    if values.ndim > expected.ndim:
        values = values[..., 0]
    assert values.shape == expected.shape, "nothing spare is left"
    assert numpy.abs(values - expected * 255).mean() < 4


UNCLEAR = {
    "signed": (tiff((RAMP * 127).astype("int8")), "signed samples"),
    "signed 16 bits": (tiff((RAMP * 32_767).astype("int16")), "signed samples"),
    "signed 32 bits": (tiff((RAMP * 2**30).astype("int32")), "signed samples"),
    "floating point up to 255": (tiff((RAMP * 255).astype("float32")), "up to 255, where 1 is white"),
    "floating point up to 2": (tiff((COLORS * 2).astype("float32"), photometric="rgb"), "up to 2, where 1 is white"),
    "not a number": (tiff(numpy.full((8, 8), numpy.nan, "float32")), "None of the image's samples is a number"),
    "double precision": (tiff(RAMP), "samples are of a kind that is not supported"),
    "complex numbers": (tiff(RAMP.astype("complex64")), "samples are of a kind that is not supported"),
}


PARAMS: dict[str, dict[str, object]] = {
    "convert": {"format": "png"},
    "brightness": {"amount": 0},
    "dominant_colors": {},
}


@pytest.mark.parametrize("algorithm", PARAMS)
@pytest.mark.parametrize("kind", UNCLEAR)
def test_samples_without_a_defined_meaning_are_refused_with_a_reason(kind: str, algorithm: str) -> None:
    content, reason = UNCLEAR[kind]

    with pytest.raises(ImageError, match=reason):
        processed(content, algorithm, PARAMS[algorithm])


def test_an_alpha_after_a_spare_band_is_the_alpha() -> None:
    alpha = RAMP[::-1]
    source = tiff(bytes_of(COLORS, RAMP, alpha), photometric="rgb", extrasamples=["unspecified", "unassalpha"])

    result = opened(processed(source, "convert", {"format": "png"}))

    assert numpy.array_equal(numpy.asarray(result), bytes_of(COLORS, alpha))


@pytest.mark.parametrize("color", ["#ff0000", "#00ff0080"])
def test_gray_with_alpha_lies_on_a_colored_background(color: str) -> None:
    source = photo(mode="LA")

    result = opened(processed(source, "convert", {"format": "jpeg", "background": color, "quality": 100}))

    opaque = tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))
    ground = Image.new("RGBA", (64, 48), (*opaque, 255))
    ground.alpha_composite(opened(source).convert("RGBA"))
    difference = numpy.asarray(result.convert("RGB")).astype(int) - numpy.asarray(ground.convert("RGB"))
    assert numpy.abs(difference).mean() < 3
